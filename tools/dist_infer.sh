#!/usr/bin/env bash
# Localize objects in images on several GPUs; on a machine without any, in several processes on the CPU:
#   bash tools/dist_infer.sh CONFIG CHECKPOINT GPUS PATHS... [arguments of infer.py]
# _torchrun.sh says how to use several machines; all of them must see the --out folder.
source "$(dirname "${BASH_SOURCE[0]}")/_torchrun.sh"
: "${4:?use it as dist_infer.sh CONFIG CHECKPOINT GPUS PATHS... [arguments of infer.py]}"
launch "$3" infer.py "${@:4}" --config "$1" --checkpoint "$2"
