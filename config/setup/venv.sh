# shellcheck shell=bash
# .venv, the Python packages in it and the compiled parts in place. Sourced.
#
# Two stamps in .venv hold a digest of what was installed and built last; equal digest, nothing to do.

VENV_PYTHON=.venv/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

digest() { sha256sum | cut -d ' ' -f 1; }

python_digest() { "$PYTHON" -c 'import sys; print(sys.version)' | digest; }

# sources_digest DOORS: what a change of calls for a new build; contents, not times: a checkout is no change.
sources_digest() {
    {
        echo "BYPASS_DEBUG=${BYPASS_DEBUG:-0} BYPASS_DOORS=${1-}"
        cat .venv/python-stamp
        {
            printf '%s\0' setup.py pyproject.toml bypass/__init__.py bypass/xdp/_bpf_build.py
            find cython_ext bypass/xdp -type f \( -name '*.pxd' -o -name '*.pyx' -o -name '*.h' \
                -o -path 'bypass/xdp/*.c' ! -name _bpf.c \) -print0
        } | sort -z | xargs -0 sha256sum
    } | digest
}

stamp_equals() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

make_venv() {
    command -v "$PYTHON" >/dev/null || die "no $PYTHON: set PYTHON=/path/to/python3"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$PYTHON is older than Python 3.11"
    local wanted
    wanted=$(python_digest)
    if [ -x "$VENV_PYTHON" ] && stamp_equals .venv/python-stamp "$wanted"; then return 0; fi
    say "making .venv with $("$PYTHON" --version)"
    rm -rf .venv
    "$PYTHON" -m venv .venv
    echo "$wanted" >.venv/python-stamp
}

# install_requirements run|vm|test: each has what those before it have
install_requirements() {
    local wanted stamp extras=() list
    wanted=$(cat .venv/python-stamp pyproject.toml | digest)
    for stamp in run vm "test"; do # the stamp of this profile, or of one with more
        case "$1-$stamp" in vm-run | test-run | test-vm) continue ;; esac
        if stamp_equals ".venv/$stamp-stamp" "$wanted"; then return 0; fi
    done
    case "$1" in
        vm) extras=(vm) ;;
        test) extras=(vm test dev) ;;
    esac
    say "installing the Python packages"
    list=$("$VENV_PYTHON" config/setup/requirements.py "${extras[@]}")
    mapfile -t list <<<"$list"
    "$VENV_PYTHON" -m pip install -q --retries 5 "${list[@]}"
    echo "$wanted" >".venv/$1-stamp"
}

build_in_place() {
    local wanted
    wanted=$(sources_digest "${BYPASS_DOORS:-}")
    if compgen -G 'bypass/_engine*.so' >/dev/null; then
        if stamp_equals .venv/build-stamp "$wanted"; then return 0; fi
        if stamp_equals .venv/build-stamp "$(sources_digest '')"; then return 0; fi # all of them are built
    fi
    say "compiling"
    "$VENV_PYTHON" -m pip install -q --no-build-isolation --no-deps -e .
    echo "$wanted" >.venv/build-stamp
}
