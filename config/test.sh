#!/usr/bin/env bash
# Runs lint and every suite. Needs root, since the suites make network namespaces and load XDP programs.
#
#   config/test.sh [pytest arguments]
#
# A skipped test is a failure here (tests/conftest.py), unless it says which hardware it needs.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

source config/setup/say.sh
source config/setup/lanes.sh

if [ "$(id -u)" -ne 0 ]; then
    echo "test: error: the tests make network namespaces and load XDP programs: run 'sudo make test'" >&2
    exit 77
fi
end() {
    end_lanes
    give_back
}
trap end EXIT
trap 'exit 143' TERM

config/setup.sh --test
config/lint.sh

run_tests() {
    BYPASS_NO_SKIPS=1 BYPASS_NGINX=$PWD/.cache/nginx/usr/sbin/nginx BYPASS_PYTHON_DOC=$PWD/.cache/python-doc \
        exec env --default-signal=INT .venv/bin/python -m pytest "$@"
}
if [ $# -gt 0 ]; then
    (run_tests "$@")
    exit
fi
# Tests on links mostly wait, the others mostly compute: so they run beside each other, and at last, alone, those
# that compare speeds.
NETWORK=(tests/veth tests/browser)
computing() { run_tests "${NETWORK[@]/#/--ignore=}"; }
on_links() { run_tests "${NETWORK[@]}" -m "not alone"; }
comparing() { run_tests "${NETWORK[@]}" -m alone; }

failed=0
run_lanes computing on_links || failed=$?
run_lanes comparing || failed=$?
exit "$failed"
