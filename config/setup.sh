#!/usr/bin/env bash
# Makes this folder ready to run: system packages, .venv, the compiled parts.
#
#   config/setup.sh          what `make demo` and `make setup` need
#   config/setup.sh --vm     that, and what `make test-vm` needs
#   config/setup.sh --test   all that, and what `make test`, `make lint` and `make bench` need
#
# Safe to repeat: each step looks first and does only what is missing.
# PYTHON=/path/to/python3 chooses the interpreter that .venv is made with.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

source config/setup/say.sh
source config/setup/packages.sh
source config/setup/unpacked.sh
source config/setup/venv.sh

profile=run
case "${1:-}" in
    "") ;;
    --vm) profile="vm" ;;
    --test) profile="test" ;;
    *) die "unknown argument '$1': only --vm and --test are known" ;;
esac

[ "$(uname -s)" = Linux ] || die "bypass needs Linux: AF_XDP is a part of its kernel"

trap give_back EXIT
install_packages "$profile"
[ "$profile" != test ] || unpack_nginx
[ "$profile" = run ] || unpack_python_doc
make_venv
install_requirements "$profile"
build_in_place
