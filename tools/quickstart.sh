#!/usr/bin/env bash
# Train CAM, NL-CCAM and CI-CAM on the built-in data set and compare them, on a fresh machine too:
#   bash tools/quickstart.sh [--stack onedl] [arguments of quickstart.py]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/_venv.sh

prepare_venv "$@"
exec .venv/bin/python tools/quickstart.py ${ARGS[@]+"${ARGS[@]}"}
