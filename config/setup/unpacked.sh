# shellcheck shell=bash
# Packages whose files the tests use without installing them: nginx, which would start a service,
# and python3-doc where the system's dpkg leaves documentation out (container images). Sourced.

# unpack PACKAGE FOLDER: the files of a package below FOLDER, nothing of it installed or started
unpack() {
    local download package=$1 folder=$2
    download=$(mktemp -d)
    (cd "$download" && { apt_get download -qq "$package" || { apt_get update -qq && apt_get download -qq "$package"; }; }) ||
        die "could not download $package"
    mkdir -p "$folder"
    dpkg-deb -x "$download"/*.deb "$folder"
    rm -r "$download"
}

# .cache/nginx/usr/sbin/nginx is the nginx that tests and benchmarks run
unpack_nginx() {
    local nginx=.cache/nginx/usr/sbin/nginx
    [ ! -x "$nginx" ] || return 0
    mkdir -p "${nginx%/*}"
    if [ -x /usr/sbin/nginx ]; then
        ln -sfn /usr/sbin/nginx "$nginx"
    elif known_system; then
        say "unpacking nginx for the tests (not installed, no service)"
        unpack nginx .cache/nginx
    else
        die "nginx is missing: the tests compare with it. Install it, then run this again"
    fi
    "$nginx" -v 2>/dev/null || die "$nginx does not start"
}

# .cache/python-doc is an HTML tree of hundreds of pages for the tests to serve
unpack_python_doc() {
    local link=.cache/python-doc html
    [ ! -e "$link/index.html" ] || return 0
    mkdir -p .cache
    for html in /usr/share/doc/python3.*/html .cache/python-doc-files/usr/share/doc/python3.*/html; do
        [ -e "$html/index.html" ] && break
    done
    if [ ! -e "$html/index.html" ]; then
        known_system || die "the HTML documentation of Python is missing: the tests serve it"
        say "unpacking python3-doc for the tests"
        unpack "$(dpkg-query -W -f '${Depends}' python3-doc | grep -o 'python3\.[0-9]*-doc' | head -1)" \
            .cache/python-doc-files
        html=$(echo .cache/python-doc-files/usr/share/doc/python3.*/html)
    fi
    ln -sfn "$(realpath "$html")" "$link"
}
