#!/usr/bin/env bash
# What a user does first: install the wheel in a new environment, find boxes in ten pictures.
#   bash .ci/wheel_in_new_env.sh
# Needs 6 GB in the folder for temporary files; removes them in any case.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/tools/_venv.sh"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
unset PYTHONPATH  # the clone must not stand in for the wheel

# A copy, since what an earlier build left in build/ would get into the wheel.
mkdir "$folder/source"
cd "$root"
git ls-files -z | tar -c --null -T - | tar -x -C "$folder/source"
cd "$folder"
"$(find_python)" -m venv env
env/bin/python -m pip wheel --quiet --no-deps --wheel-dir wheels ./source ./source/cicam_lite

SECONDS=0
env/bin/python -m pip install --quiet "$(echo wheels/cicam_mm-*.whl)[upstream,imagenet]"
echo "installed in $SECONDS s"
SECONDS=0
env/bin/cicam_mm infer "$root"/docs/photos "$root"/docs/boxes "$root"/docs/{overlay,compare}.png --out boxes
echo "boxes in $SECONDS s"
env/bin/python -c '
import json
found = json.load(open("boxes/predictions.json"))
assert len(found) == 10, found'

env/bin/python -m pip install --quiet twine
env/bin/twine check --strict wheels/*
