"""Train a model: ``python tools/train.py CONFIG``."""

import argparse

from _cli import (
    ArgumentParser,
    UserError,
    add_common_arguments,
    check_checkpoint,
    load_config,
    run,
    start_runner,
)

# isort: split
import torch

from cicam_mm.engine.runner import lock_work_dir
from cicam_mm.utils.distributed import launched_rank


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser('Train a model')
    parser.add_argument('config', help='path of the config')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from a checkpoint, without a value from the latest one in the work directory',
    )
    parser.add_argument('--amp', action='store_true', help='train with mixed precision (GPU only)')
    parser.add_argument(
        '--no-validate', action='store_true', help='do not validate during the training'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='accepted for the sake of MMPretrain; the rate always follows the total batch',
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        if not torch.cuda.is_available():
            raise UserError('--amp needs a GPU, and torch finds none here; on a CPU set '
                            'optim_wrapper.type=AutocastOptimWrapper by --cfg-options')
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
        if cfg.load_from:
            check_checkpoint(cfg.load_from)
    if args.auto_scale_lr:
        if 'auto_scale_lr' not in cfg:
            raise UserError(f'--auto-scale-lr needs `auto_scale_lr` in the config {args.config}')
        cfg.auto_scale_lr.enable = True
    with lock_work_dir(cfg.work_dir, launched_rank(cfg.launcher)):
        start_runner(cfg, args).train()


if __name__ == '__main__':
    run(main)
