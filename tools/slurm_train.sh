#!/usr/bin/env bash
# Train on a Slurm cluster:
#   bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
# Environment variables: GPUS in total (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), GRES
# (gpu:GPUS_PER_NODE; empty to train on CPUs), and SRUN_ARGS for further options of srun.
set -euo pipefail
: "${3:?use it as slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]}"
gpus=${GPUS:-8}
gpus_per_node=${GPUS_PER_NODE:-8}
gres=${GRES-gpu:$gpus_per_node}

export MASTER_PORT=${MASTER_PORT:-$((20000 + RANDOM % 20000))} # so that jobs can share a node
exec srun --partition="$1" --job-name="$2" ${gres:+--gres="$gres"} \
    --ntasks="$gpus" --ntasks-per-node="$gpus_per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    python -u "$(dirname "${BASH_SOURCE[0]}")/train.py" "$3" --launcher slurm "${@:4}"
