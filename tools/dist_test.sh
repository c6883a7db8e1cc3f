#!/usr/bin/env bash
# Test on several GPUs; on a machine without any, in several processes on the CPU:
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
# _torchrun.sh says how to use several machines.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_torchrun.sh"

config=${1:?the config is missing: dist_test.sh CONFIG CHECKPOINT GPUS}
checkpoint=${2:?the checkpoint is missing: dist_test.sh CONFIG CHECKPOINT GPUS}
gpus=${3:?the number of GPUs is missing: dist_test.sh CONFIG CHECKPOINT GPUS}
launch "$gpus" "$(dirname "${BASH_SOURCE[0]}")/test.py" "$config" "$checkpoint" "${@:4}"
