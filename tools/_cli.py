"""What the command lines of train.py and test.py share.

Imports ``cicam_mm`` before the rest of the stack, so that its check comes first.
"""

import argparse
import os
import sys
from pathlib import Path

from cicam_mm.compat import prepare_cpu_distributed
from cicam_mm.engine.console import build_runner

# isort: split
import torch
from mmengine.config import Config, DictAction
from mmengine.config.utils import ConfigParsingError
from mmengine.runner import Runner


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and the config used')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. train_dataloader.batch_size=6; lists are '
        'written key="[a,b]" or key=a,b, without blanks',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and settle what every run needs: launcher and work directory."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    try:
        cfg = Config.fromfile(args.config)
    except (OSError, SyntaxError, ConfigParsingError) as error:
        sys.exit(f'error: cannot read the config {args.config}: {error}')
    cfg.launcher = args.launcher
    if args.work_dir:
        cfg.work_dir = args.work_dir
    elif not cfg.get('work_dir'):
        cfg.work_dir = f'./work_dirs/{Path(args.config).stem}'
    return cfg


def check_checkpoint(path: str) -> None:
    """Leave with one sentence where a checkpoint does not exist; addresses are not checked."""
    if '://' not in path and not Path(path).expanduser().is_file():
        sys.exit(f'error: the checkpoint {path} does not exist')


def start_runner(cfg: Config, args: argparse.Namespace) -> Runner:
    """Apply ``--cfg-options``, the last word on every setting, and build the Runner."""
    cfg.merge_from_dict(args.cfg_options or {})
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if loader := cfg.get(name):
            loader.setdefault('collate_fn', dict(type='default_collate'))
            loader.setdefault('pin_memory', torch.cuda.is_available())
            loader.setdefault('persistent_workers', loader.get('num_workers', 0) > 0)
    prepare_cpu_distributed(cfg)
    return build_runner(cfg)
