#!/usr/bin/env bash
# The runs behind docs/what_the_pool_does.md: bash docs/study/run.sh SWEEP..., each going on where it
# stopped. What they leave in work_dirs/pool_study is copied to docs/study/SWEEP.csv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=${PYTHON:-.venv/bin/python}
export PYTHONPATH=$PWD/docs/study:$PWD${PYTHONPATH:+:$PYTHONPATH}  # where controlled_pool.py is

sweep() {
    local name=$1
    shift
    "$python" tools/sweep.py "$@" --seeds "${seeds[@]}" --jobs "${JOBS:-1}" --search-theta \
        --work-dir "work_dirs/pool_study/$name"
    cp "work_dirs/pool_study/$name/sweep.csv" "docs/study/$name.csv"
}

cells() { # FOLDER CONTROL...
    for control in "${@:2}"; do
        echo "$control=$1/$control.py"
    done
}

for name in "$@"; do
    seeds=({0..9})
    case $name in
    controls)
        sweep controls $(cells docs/study none own other mean bump ones zeros one-branch no-bias \
            training-only testing-only)
        ;;
    column)
        sweep column $(cells docs/study shared-column)
        ;;
    middle)
        sweep middle $(cells docs/study none own other mean bump zeros) --cfg-options \
            {train,val,test}_dataloader.dataset.placement=middle
        ;;
    rho)
        sweep rho $(cells docs/study none own mean zeros) --grid train_dataloader.dataset.rho 0 0.95
        ;;
    feeding)
        sweep counted $(cells docs/study own) --grid model.head.pool.counted all
        sweep update_rate $(cells docs/study own) --grid model.head.pool.update_rate 0.001 0.1
        ;;
    field)
        # the block starts as the identity, so it is pretrained with the features
        features=work_dirs/pool_study/non_local_features
        [[ -e $features/epoch_12.pth ]] || "$python" tools/train.py \
            configs/cam/pretrain_tiny_shapes.py --work-dir "$features" \
            --cfg-options model.backbone.non_local_stages=[3]
        sweep field $(cells docs/study none own other mean bump zeros) --cfg-options \
            model.backbone.non_local_stages=[3] \
            model.backbone.init_cfg.checkpoint="$features/epoch_12.pth"
        ;;
    erasing)
        seeds=({0..2})
        sweep erasing CAM=configs/cam/cam_tiny_shapes.py HaS=configs/has/has_tiny_shapes.py \
            CutMix=configs/cutmix/cutmix_tiny_shapes.py --grid train_dataloader.dataset.rho 0
        ;;
    cub10)
        seeds=({0..4})
        sweep cub10 none=configs/cicam_vgg16_cub10_last-stage_wo-pool.py \
            own=configs/cicam_vgg16_cub10_last-stage.py \
            $(cells docs/study/cub10 other mean zeros) \
            --cfg-options optim_wrapper.type=AutocastOptimWrapper
        ;;
    *)
        echo "unknown sweep '$name'; known are controls, column, middle, rho, feeding, field, erasing, cub10" >&2
        exit 1
        ;;
    esac
done
