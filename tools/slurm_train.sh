#!/usr/bin/env bash
# Train on a Slurm cluster:
#   bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
# Environment variables: GPUS in total (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), GRES
# (gpu:GPUS_PER_NODE; empty to train on CPUs), and SRUN_ARGS for further options of srun.
set -euo pipefail

usage='slurm_train.sh PARTITION JOB_NAME CONFIG'
partition=${1:?the partition is missing: $usage}
job_name=${2:?the name of the job is missing: $usage}
config=${3:?the config is missing: $usage}
gpus=${GPUS:-8}
gpus_per_node=${GPUS_PER_NODE:-8}
gres=${GRES-gpu:$gpus_per_node}

export MASTER_PORT=${MASTER_PORT:-$((20000 + RANDOM % 20000))} # so that jobs can share a node
exec srun --partition="$partition" --job-name="$job_name" ${gres:+--gres="$gres"} \
    --ntasks="$gpus" --ntasks-per-node="$gpus_per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    python -u "$(dirname "${BASH_SOURCE[0]}")/train.py" "$config" --launcher slurm "${@:4}"
