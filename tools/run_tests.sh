#!/usr/bin/env bash
# Run the tests, on a fresh machine too: bash tools/run_tests.sh [--stack onedl] [pytest arguments]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/_venv.sh

prepare_venv "$@"
exec .venv/bin/python -m pytest ${ARGS[@]+"${ARGS[@]}"}
