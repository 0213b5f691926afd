# shellcheck shell=bash
# What the emulated machine of `make test-vm` is made of: QEMU, a recent kernel, busybox. Sourced.
#
# Packages of Debian are downloaded and unpacked below .cache/vm with an apt configuration of its own:
# nothing is installed, and the system's sources, pins and lists stay as they are. The mirror is the one
# that the system itself uses.

MACHINE=.cache/vm
MACHINE_PACKAGES='qemu-system-x86 busybox-static'
# The kernel: igb has zero-copy since Linux 6.14. First suite that has one wins.
KERNEL_SUITES='trixie-backports sid'

# refuse WHAT WHY: the suite must not pass where it could not run; 69 tells that from a failed test
refuse() {
    printf 'test-vm: error: no %s: %s\n' "$1" "$2" >&2
    exit 69
}

# debian_mirror CODENAME: URI of the mirror that the system's own packages come from
debian_mirror() {
    # The name of the suite as configured, and as the archive calls it (known once lists are there).
    # shellcheck disable=SC2016  # apt's own variables
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CODENAME)' 'Created-By: Packages' |
        awk -v codename="$1" '$2 == codename || $3 == codename { print $1; exit }'
}

# own_apt FOLDER MIRROR SUITE...: writes FOLDER/apt.conf for these suites alone
own_apt() {
    local folder mirror=$2 suite
    unset APT_CONFIG # of an attempt that failed
    folder=$(realpath -m "$1")
    shift 2
    mkdir -p "$folder"/{etc,none,lists/partial,archives/partial}
    for suite in "$@"; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
    done >"$folder/etc/sources.list"
    {
        apt-config dump Acquire | grep -E '^Acquire::(https?|ftp|Retries)' || true # proxies
        cat <<CONF
Dir::Etc "$folder/etc";
Dir::Etc::sourcelist "sources.list";
Dir::Etc::sourceparts "$folder/none";
Dir::Etc::parts "$folder/none";
Dir::Etc::preferencesparts "$folder/none";
Dir::Etc::trusted "/etc/apt/trusted.gpg";
Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
Dir::State::lists "$folder/lists";
Dir::State::extended_states "$folder/extended_states";
Dir::Cache "$folder";
Dir::Cache::archives "$folder/archives";
Dir::State::status "/var/lib/dpkg/status";
Dir::Log "$folder";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
    } >"$folder/apt.conf"
}

# fetch_emulator CODENAME MIRROR: QEMU 10 and busybox, with the libraries that this system lacks
fetch_emulator() {
    local folder=$MACHINE/emulator backports=$1-backports deb
    [ ! -f "$folder/ready" ] || return 0
    say "unpacking QEMU for the tests (not installed)"
    rm -rf "$folder"
    own_apt "$folder/apt" "$2" "$1" "$backports"
    export APT_CONFIG=$PWD/$folder/apt/apt.conf
    apt-get update -qq || refuse QEMU "the package lists of $backports cannot be had"
    # shellcheck disable=SC2086  # a list of names
    apt-get install -qq -y --download-only --no-install-recommends -t "$backports" $MACHINE_PACKAGES >/dev/null ||
        refuse QEMU "its packages cannot be downloaded from $backports"
    for deb in "$folder"/apt/archives/*.deb; do
        dpkg-deb -x "$deb" "$folder"
    done
    unset APT_CONFIG
    rm -rf "$folder/apt"
    LD_LIBRARY_PATH=$folder/usr/lib/x86_64-linux-gnu:$folder/lib/x86_64-linux-gnu \
        "$folder/usr/bin/qemu-system-x86_64" -L "$folder/usr/share/qemu" -version >/dev/null || refuse QEMU "it does not start"
    touch "$folder/ready"
}

# kernel_packages: the meta package's way to the image and the modules, one name a line
kernel_packages() {
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances linux-image-amd64 | grep -E '^linux-(image|binary|modules|base)-[0-9]' | sort -u
}

# fetch_kernel MIRROR: .cache/vm/kernel/vmlinuz and the modules of the first suite that has them
fetch_kernel() {
    local folder=$MACHINE/kernel suite
    [ ! -f "$folder/ready" ] || return 0
    for suite in $KERNEL_SUITES; do
        say "unpacking the kernel of $suite for the tests (not installed)"
        rm -rf "$folder"
        if try_kernel "$1" "$suite" "$folder"; then
            touch "$folder/ready"
            return 0
        fi
    done
    refuse kernel "no recent linux-image-amd64 could be had from $KERNEL_SUITES"
}

# try_kernel MIRROR SUITE FOLDER
try_kernel() {
    local folder=$3 packages deb
    own_apt "$folder/apt" "$1" "$2"
    export APT_CONFIG=$PWD/$folder/apt/apt.conf
    apt-get update -qq || return 1
    packages=$(kernel_packages) && [ -n "$packages" ] || return 1
    # shellcheck disable=SC2086  # a list of names
    (cd "$folder/apt/archives" && apt-get download -qq $packages) || return 1
    unset APT_CONFIG
    for deb in "$folder"/apt/archives/*.deb; do
        # documentation and what only a boot loader needs stay behind
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" --wildcards --wildcards-match-slash \
            './*/vmlinuz*' './*/drivers/net/*' './*/drivers/i2c/*' './*/drivers/dca/*' './*/net/core/*' \
            './boot/vmlinuz*' 2>/dev/null || true
    done
    rm -rf "$folder/apt"
    deb=$(find "$folder" -name 'vmlinuz*' -type f | head -1)
    [ -n "$deb" ] && [ -n "$(find "$folder" -name 'igb.ko*')" ] || return 1
    ln -sfn "$(realpath --relative-to="$folder" "$deb")" "$folder/vmlinuz"
}

make_machine() {
    local ID='' VERSION_CODENAME='' mirror
    [ "$(uname -m)" = x86_64 ] || refuse "emulated machine" "it is one of x86-64, this is $(uname -m)"
    [ -r /etc/os-release ] && . /etc/os-release
    [ "$ID" = debian ] || refuse "QEMU and kernel" "they are packages of Debian 12 or 13, this is $(system_name)"
    if [ -f "$MACHINE/emulator/ready" ] && [ -f "$MACHINE/kernel/ready" ]; then return 0; fi
    mirror=$(debian_mirror "$VERSION_CODENAME")
    [ -n "$mirror" ] || refuse "QEMU and kernel" "apt has no mirror of Debian $VERSION_CODENAME configured"
    fetch_emulator "$VERSION_CODENAME" "$mirror"
    fetch_kernel "$mirror"
}
