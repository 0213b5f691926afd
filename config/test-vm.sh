#!/usr/bin/env bash
# Runs the suite on emulated network cards (tests/vm). Needs root, for taps and network namespaces.
#
#   config/test-vm.sh [pytest arguments]
#
# Without QEMU or kernel it fails and says which; nothing is skipped.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

source config/setup/say.sh
source config/setup/packages.sh
source config/setup/machine.sh

if [ "$(id -u)" -ne 0 ]; then
    echo "test-vm: error: the tests make taps and network namespaces: run 'sudo make test-vm'" >&2
    exit 77
fi
end() {
    [ ! -x .venv/bin/python ] || .venv/bin/python -m tests.vm.netlab || true # namespaces of a killed run
    give_back
}
trap end EXIT
trap 'kill -TERM "$child" 2>/dev/null; wait "$child"; exit 143' TERM
# Compiling and downloading wait for different things.
config/setup.sh --test &
child=$!
make_machine
wait "$child"
[ $# -gt 0 ] || set -- tests/vm
# Two guests at a time, each emulated by one thread mostly; a guest's tests stay together.
BYPASS_NO_SKIPS=1 BYPASS_PYTHON_DOC=$PWD/.cache/python-doc \
    .venv/bin/python -m pytest --numprocesses 2 --dist loadgroup "$@" &
child=$!
wait "$child"
