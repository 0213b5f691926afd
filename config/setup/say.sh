# shellcheck shell=bash
# Messages, and the return of files made as root to the owner of the folder. Sourced.

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
    printf 'setup: error: %s\n' "$*" >&2
    exit 1
}

# A run under sudo leaves files of root in a person's folder, which the next `git clean` or an
# editor then cannot touch: whatever root made here goes to the folder's owner.
give_back() {
    local owner
    [ "$(id -u)" -eq 0 ] || return 0
    owner=$(stat -c %u:%g .)
    [ "${owner%%:*}" -ne 0 ] || return 0
    find . -xdev -path ./.git -prune -o -uid 0 -exec chown --no-dereference "$owner" {} +
}
