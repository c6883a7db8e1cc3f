# Makes .venv or reuses it: `prepare_venv "$@"`, called in the top folder of the repository.
#
#   --stack upstream|onedl   The family of mm libraries: by default that in .venv, else upstream.
#                            They overwrite each other, so asking for the other rebuilds .venv.
#
# All other arguments are left in ARGS. The variable PYTHON names the interpreter for a new .venv.
DISTRIBUTIONS='.venv/lib/python3*/site-packages'

prepare_venv() {
    local installed='' stack='' wanted
    ARGS=()
    while (($#)); do
        case $1 in
            --stack) stack=${2-none}; shift ;;
            --stack=*) stack=${1#*=} ;;
            *) ARGS+=("$1") ;;
        esac
        shift || true
    done
    compgen -G "$DISTRIBUTIONS/mmengine-*" >/dev/null && installed=upstream
    compgen -G "$DISTRIBUTIONS/onedl_mmengine-*" >/dev/null && installed=onedl
    stack=${stack:-${installed:-upstream}}
    if [[ $stack != upstream && $stack != onedl ]]; then
        echo "error: --stack is 'upstream' or 'onedl', not '$stack'" >&2
        return 1
    fi

    # What is installed, and from where. Written last, so an interrupted installation continues.
    wanted=$({ echo "$PWD $stack"; cat setup.cfg; } | cksum)
    [[ $(cat .venv/stamp 2>/dev/null) == "$wanted" ]] && return

    if [[ -n $installed && $installed != "$stack" ]]; then
        echo "Rebuilding .venv, which holds the $installed family of the mm libraries."
        rm -rf .venv
    fi
    if ! .venv/bin/python -m pip --version &>/dev/null; then
        local python
        python=$(find_python)
        "$python" -m venv --clear .venv
    fi
    echo "Installing cicam_mm with the $stack family into .venv:" \
        'a few minutes and 6 GB of disk the first time.'
    .venv/bin/python -m pip install --quiet --editable ".[$stack,docs,test]"
    echo "$wanted" >.venv/stamp
}

find_python() {
    local python
    for python in ${PYTHON:-python3 python python3.13 python3.12 python3.11 python3.10}; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' &>/dev/null; then
            echo "$python"
            return
        fi
    done
    echo 'error: no Python >= 3.10 found; name one with PYTHON=/path/to/python' >&2
    return 1
}
