#!/usr/bin/env bash
# Run the tests, on a fresh machine too: bash tools/run_tests.sh [--stack onedl] [pytest arguments]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/_venv.sh

prepare_venv "$@"
# Two processes (-n 0 for none); files by name, as xdist would leave the slowest ones for the end.
exec .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder ${ARGS[@]+"${ARGS[@]}"}
