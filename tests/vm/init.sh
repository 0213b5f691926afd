#!/usr/bin/busybox sh
# The guest's first process: mounts, loads the drivers, then a shell on the second serial port.
busybox=/usr/bin/busybox
$busybox mkdir -p /proc /sys /dev /run /tmp
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sysfs /sys
$busybox mount -t devtmpfs devtmpfs /dev
$busybox mount -t bpf bpf /sys/fs/bpf
$busybox mount -t tmpfs tmpfs /tmp
$busybox --install -s /usr/bin
for module in /modules/*.ko; do
    insmod "$module" || echo "cannot load $module"
done
export PATH=/usr/sbin:/usr/bin PYTHONPATH=/srv/project:/srv/packages PYTHONDONTWRITEBYTECODE=1 HOME=/root
export COLUMNS=200
ulimit -l unlimited
echo 1 >/proc/sys/kernel/panic
/usr/sbin/ip link set lo up
stty -F /dev/ttyS1 raw -echo
exec >/dev/ttyS1 2>&1
echo "guest is ready"
exec sh /dev/ttyS1 # not interactive: no prompt, no echo
