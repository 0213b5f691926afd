#!/usr/bin/env bash
# Style, types and Cython style. Stops at the first that complains.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PWD/.venv/bin:$PATH"     # cython-lint calls pycodestyle by name

PATH="$PWD/.venv/bin:$PATH" # cython-lint calls pycodestyle by name

run() {
    printf "lint: %s\n" "$1" >&2
    .venv/bin/python -m "$@"
}

run ruff check --quiet .
run ruff format --check --quiet .
run mypy
mapfile -t sources < <(find cython_ext -name '*.pxd' -o -name '*.pyx')
run cython_lint.cython_lint "${sources[@]}"
