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
source config/setup/lanes.sh
source config/setup/packages.sh
source config/setup/machine.sh

if [ "$(id -u)" -ne 0 ]; then
    echo "test-vm: error: the tests make taps and network namespaces: run 'sudo make test-vm'" >&2
    exit 77
fi
end() {
    end_lanes
    [ ! -x .venv/bin/python ] || .venv/bin/python -m tests.vm.netlab # namespaces of a killed run
    give_back
}
trap end EXIT
trap 'exit 143' TERM

# Compiling and downloading wait for different things; of what is compiled the guest needs the engine.
BYPASS_DOORS=${BYPASS_DOORS:-engine} config/setup.sh --vm &
running=($!)
make_machine
wait "${running[0]}"
running=()

run_tests() {
    BYPASS_NO_SKIPS=1 BYPASS_PYTHON_DOC=$PWD/.cache/python-doc \
        exec env --default-signal=INT .venv/bin/python -m pytest "$@"
}
if [ $# -gt 0 ]; then
    run_tests "$@" &
    running=($!)
    wait "${running[0]}"
    running=()
    exit 0
fi
# A guest uses less than one processor: drivers and clients wait for each other. So there are three at a time, each
# with a machine that no other part needs, but for igb, which has most tests.
igb() { run_tests tests/vm -k "igb and not test_zero_copy"; }
virtio_with_four_pairs_and_igb() { run_tests tests/vm -k "virtio-4 or igb and test_zero_copy"; }
virtio_and_refusals() { run_tests tests/vm -k "not virtio-4 and not igb"; }
run_lanes igb virtio_with_four_pairs_and_igb virtio_and_refusals
