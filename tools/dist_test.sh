#!/usr/bin/env bash
# Test on several GPUs; on a machine without any, in several processes on the CPU:
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
# _torchrun.sh says how to use several machines.
source "$(dirname "${BASH_SOURCE[0]}")/_torchrun.sh"
: "${3:?use it as dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]}"
launch "$3" test.py "$1" "$2" "${@:4}"
