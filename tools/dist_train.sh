#!/usr/bin/env bash
# Train on several GPUs; on a machine without any, in several processes on the CPU:
#   bash tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# The processes share the images of a step (auto_scale_lr.base_batch_size of the config).
# _torchrun.sh says how to use several machines.
source "$(dirname "${BASH_SOURCE[0]}")/_torchrun.sh"
: "${2:?use it as dist_train.sh CONFIG GPUS [arguments of train.py]}"
launch "$2" train.py "$1" "${@:3}"
