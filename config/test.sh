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

if [ "$(id -u)" -ne 0 ]; then
    echo "test: error: the tests make network namespaces and load XDP programs: run 'sudo make test'" >&2
    exit 77
fi
trap give_back EXIT
config/setup.sh --test
config/lint.sh
BYPASS_NO_SKIPS=1 BYPASS_NGINX=$PWD/.cache/nginx/usr/sbin/nginx BYPASS_PYTHON_DOC=$PWD/.cache/python-doc \
    .venv/bin/python -m pytest "$@"
