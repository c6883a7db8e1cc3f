# Starts one process for each device: `launch GPUS TOOL.py [arguments]`.
#
# One machine needs no settings: a free port is used unless PORT names one. With MAX_RESTARTS and
# --resume, a job that dies continues by itself from its last checkpoint. For several machines, run
# the same command on each with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
set -euo pipefail

launch() {
    local tools rendezvous=(
        --rdzv-backend=c10d
        --rdzv-endpoint="localhost:${PORT:-0}"
        --max-restarts="${MAX_RESTARTS:-0}"
    )
    tools=$(dirname "${BASH_SOURCE[0]}")
    if [[ ${NNODES:-1} -gt 1 ]]; then
        rendezvous=(
            --nnodes="$NNODES"
            --node-rank="${NODE_RANK:-0}"
            --master-addr="${MASTER_ADDR:-127.0.0.1}"
            --master-port="${PORT:-29500}"
        )
    fi
    # torchrun's and mmengine's own defaults, set here without their warnings.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
    # A store shared with torchrun holds addresses of processes that a restart has replaced.
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    exec python -m torch.distributed.run "${rendezvous[@]}" --nproc-per-node="$1" "$tools/$2" \
        "${@:3}" --launcher pytorch
}
