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
trap give_back EXIT
config/setup.sh --test
make_machine
[ $# -gt 0 ] || set -- tests/vm
BYPASS_NO_SKIPS=1 BYPASS_PYTHON_DOC=$PWD/.cache/python-doc .venv/bin/python -m pytest "$@"
