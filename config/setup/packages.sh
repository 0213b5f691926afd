# shellcheck shell=bash
# System packages: which ones, which of them are missing, how they come in. Sourced.

# package | how to tell that it is there on a system that has no dpkg
# shellcheck disable=SC2016  # the probes are evaluated later
RUN_PACKAGES='
build-essential | command -v gcc
pkg-config      | command -v pkg-config
python3-dev     | "$PYTHON" -c "import os, sysconfig; os.stat(sysconfig.get_path(\"include\") + \"/Python.h\")"
python3-venv    | "$PYTHON" -c "import venv, ensurepip"
clang           | command -v clang
llvm            | command -v llvm-strip
libbpf-dev      | pkg-config --exists libbpf
libxdp-dev      | pkg-config --exists libxdp
libelf-dev      | pkg-config --exists libelf
zlib1g-dev      | pkg-config --exists zlib
iproute2        | command -v ip
ca-certificates | test -d /etc/ssl/certs
'
# shellcheck disable=SC2016
VM_PACKAGES='
curl          | command -v curl
wrk           | command -v wrk
ethtool       | command -v ethtool
nftables      | command -v nft
python3-doc   | test -e /usr/share/doc/python3/html/index.html
'
TEST_PACKAGES='
apache2-utils | command -v ab
tcpdump       | command -v tcpdump
wget          | command -v wget
chromium      | command -v chromium
'

PYTHON=${PYTHON:-/usr/bin/python3}

# libFuzzer and the sanitizers of the system's clang: a package that is named by clang's version.
sanitizers_of_clang() {
    local ID='' VERSION_ID='' version
    [ -r /etc/os-release ] && . /etc/os-release
    case "$ID $VERSION_ID" in
        "debian 12") version=14 ;;
        "ubuntu 24.04") version=18 ;;
        *) version=19 ;;
    esac
    # shellcheck disable=SC2016
    printf 'libclang-rt-%s-dev | clang -fsanitize=fuzzer -x c++ /dev/null -shared -o /dev/null\n' "$version"
}
TEST_PACKAGES+=$(sanitizers_of_clang)

# True on the systems whose package names are known to be these.
known_system() {
    local ID='' VERSION_ID=''
    [ -r /etc/os-release ] && . /etc/os-release
    case "$ID $VERSION_ID" in
        "debian 12" | "debian 13" | "ubuntu 24.04") return 0 ;;
        *) return 1 ;;
    esac
}

system_name() {
    local PRETTY_NAME=''
    [ -r /etc/os-release ] && . /etc/os-release
    printf '%s' "${PRETTY_NAME:-this system}"
}

installed_by_dpkg() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# missing_packages TABLE: the names of those that are not there, one a line
missing_packages() {
    local package probe
    while IFS='|' read -r package probe; do
        package=${package// /}
        [ -n "$package" ] || continue
        if known_system; then
            installed_by_dpkg "$package" || echo "$package"
        else
            eval "$probe" >/dev/null 2>&1 || echo "$package"
        fi
    done <<<"$1"
}

# install_packages run|vm|test
install_packages() {
    local table=$RUN_PACKAGES missing
    [ "$1" = run ] || table+=$VM_PACKAGES
    [ "$1" != test ] || table+=$TEST_PACKAGES
    missing=$(missing_packages "$table" | tr '\n' ' ')
    missing=${missing% }
    [ -n "$missing" ] || return 0
    if ! known_system; then
        die "$(system_name) is not one of Debian 12, Debian 13 and Ubuntu 24.04, where the packages are" \
            "installed for you. Missing here, by their Debian names: $missing. Install them, then run this again."
    fi
    [ "$(id -u)" -eq 0 ] || die "system packages are missing ($missing). Run it once as root: sudo make setup"
    say "installing $missing"
    apt_get update -qq
    # shellcheck disable=SC2086  # a list of names
    apt_get install -qq --no-install-recommends $missing >/dev/null
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 \
        -o APT::Sandbox::User=root -y "$@"
}
