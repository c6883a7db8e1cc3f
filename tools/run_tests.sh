#!/usr/bin/env bash
# Run the tests, on a fresh machine too: bash tools/run_tests.sh [--stack onedl] [pytest arguments]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/_venv.sh

prepare_venv "$@"
# Two processes, a file of tests in one of them; -n 0 for none. Short files come last by name.
exec .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder ${ARGS[@]+"${ARGS[@]}"}
