#!/usr/bin/env bash
# Localize objects in images on several GPUs; on a machine without any, in several processes on the CPU:
#   bash tools/dist_infer.sh CONFIG CHECKPOINT GPUS PATHS... [arguments of infer.py]
# _torchrun.sh says how to use several machines; all of them must see the --out folder.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_torchrun.sh"

usage='dist_infer.sh CONFIG CHECKPOINT GPUS PATHS...'
config=${1:?the config is missing: $usage}
checkpoint=${2:?the checkpoint is missing: $usage}
gpus=${3:?the number of GPUs is missing: $usage}
: "${4:?the paths are missing: $usage}"
launch "$gpus" "$(dirname "${BASH_SOURCE[0]}")/infer.py" "${@:4}" \
    --config "$config" --checkpoint "$checkpoint"
