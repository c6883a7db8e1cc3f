#!/usr/bin/env bash
# Train on several GPUs; on a machine without any, in several processes on the CPU:
#   bash tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# The processes share the images of a step (auto_scale_lr.base_batch_size of the config).
# _torchrun.sh says how to use several machines.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_torchrun.sh"

config=${1:?the config is missing: dist_train.sh CONFIG GPUS}
gpus=${2:?the number of GPUs is missing: dist_train.sh CONFIG GPUS}
launch "$gpus" "$(dirname "${BASH_SOURCE[0]}")/train.py" "$config" "${@:3}"
