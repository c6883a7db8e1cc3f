"""What the command lines of train.py and test.py share.

Imports ``cicam_mm`` before the rest of the stack, so that its check comes first.
"""

import argparse
import errno
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

from cicam_mm.compat import prepare_cpu_distributed
from cicam_mm.engine.console import build_runner
from cicam_mm.engine.resume import find_resumable
from cicam_mm.evaluation.metrics.pooled_metric import curves_of

# isort: split
import torch
from mmengine.config import Config, DictAction
from mmengine.config.utils import ConfigParsingError
from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch.distributed.elastic.multiprocessing.errors import record


class UserError(Exception):
    """What is wrong and what to do about it; shown without a traceback, also by the launcher."""


def run(main: Callable[[], None]) -> None:
    """Run a command line.

    A full disk and a refused checkpoint leave with one sentence. Exceptions are recorded, so
    that the launcher can show that of the rank that failed first.
    """
    try:
        record(_with_sentences)(main)
    except UserError as error:
        sys.exit(f'error: {error}')
    # without this, gloo now and then aborts on leaving and the job counts as failed
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _with_sentences(main: Callable[[], None]) -> None:
    try:
        main()
    except pickle.UnpicklingError as error:
        raise UserError(error) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(error.strerror) from None


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


def read_config(path: str) -> Config:
    """Read a config; leave with one sentence where that fails."""
    try:
        return Config.fromfile(path)
    except (OSError, SyntaxError, ConfigParsingError) as error:
        sys.exit(f'error: cannot read the config {path}: {error}')


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and settle what every run needs: launcher and work directory."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
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
    if cfg.get('resume') and not cfg.get('load_from'):
        latest = find_resumable(cfg.work_dir)
        cfg.load_from, cfg.resume = latest and str(latest), latest is not None
    return build_runner(cfg)


def write_metrics(path: Path, metrics: dict, evaluator: Evaluator, protocol: dict) -> None:
    """Write metrics as JSON, once for all ranks.

    With them ``protocol``, how they were tested, and ``curves``, the curves behind them.
    """
    if is_main_process():
        content = {**metrics, 'protocol': protocol}
        if curves := curves_of(evaluator):
            content['curves'] = curves
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f'{path.name}.tmp')
        unfinished.write_text(json.dumps(content, indent=2) + '\n')
        os.replace(unfinished, path)
