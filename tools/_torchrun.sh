# Starts one process for each device: `launch GPUS SCRIPT [arguments]`.
#
# One machine needs no settings: the port is chosen freely unless PORT names one. For several
# machines run the same command on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.

launch() {
    local gpus=$1 script=$2
    shift 2
    local rendezvous=(--standalone)
    if [[ ${NNODES:-1} -gt 1 || -n ${PORT:-} ]]; then
        rendezvous=(
            --nnodes="${NNODES:-1}"
            --node-rank="${NODE_RANK:-0}"
            --master-addr="${MASTER_ADDR:-127.0.0.1}"
            --master-port="${PORT:-29500}"
        )
    fi
    # torchrun's and mmengine's own defaults, set here without their warnings.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
    exec python -m torch.distributed.run "${rendezvous[@]}" --nproc-per-node="$gpus" \
        "$script" "$@" --launcher pytorch
}
