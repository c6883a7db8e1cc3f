"""Functions shared by the command lines.

Imports ``cicam_mm`` before the mm libraries, so that its check of these runs first.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from cicam_mm.checkpoints.loading import data_only
from cicam_mm.engine.runner import build_runner
from cicam_mm.utils.distributed import end_children_with_this_process
from cicam_mm.utils.errors import UserError, as_sentence, printable
from cicam_mm.utils.io import check_regular, check_writable
from cicam_mm.utils.settings import merge_options, read_config

# isort: split
import torch
from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from torch.distributed.elastic.multiprocessing.errors import record


def run(main: Callable[[], None]) -> None:
    """Run the main function of a command line.

    Expected errors are printed as one sentence, or with ``--debug`` as a traceback. Exceptions are
    recorded, so that the launcher can show the one of the rank that failed first.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')  # for file names that are not valid text
    debug = '--debug' in sys.argv
    end_children_with_this_process()
    try:
        with data_only:
            record(main if debug else _with_sentences(main))()
    except UserError as error:
        if debug:
            raise
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        if debug:
            raise
        print('interrupted', file=sys.stderr)
        sys.exit(130)  # the exit code of shells for SIGINT
    # without this, gloo sometimes aborts at exit and the job counts as failed
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _with_sentences(main):
    def with_sentences():
        try:
            main()
        except Exception as error:
            if (sentence := as_sentence(error)) is None:
                raise
            raise UserError(sentence) from None

    return with_sentences


class ArgumentParser(argparse.ArgumentParser):
    """Adds the option ``--debug``, which :func:`run` looks for."""

    def __init__(self, description: str):
        super().__init__(description=description)
        self.add_argument(
            '--debug', action='store_true', help='show the traceback of any error')

    def error(self, message):
        super().error(printable(message))


class ConfigOptions(DictAction):
    """Parses ``KEY=VALUE ...`` to a dict."""

    def __call__(self, parser, namespace, values, option_string=None):
        if wrong := [value for value in values if '=' not in value]:
            parser.error(f"{option_string} takes KEY=VALUE, not '{wrong[0]}'")
        super().__call__(parser, namespace, values, option_string)


def positive(text: str) -> int:
    """Argument type for a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive integer")
    return int(text)


def device(text: str) -> str:
    """Argument type for a device."""
    try:
        torch.empty(0, device=text)
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch without CUDA
        reason = str(error).split('\n')[0]
        raise argparse.ArgumentTypeError(f"there is no device '{text}': {reason}") from None
    return text


def output_file(text: str) -> Path:
    """Argument type for an output file; checks at once that it can be written."""
    return _writable(text, is_folder=False)


def output_folder(text: str) -> Path:
    """Argument type for an output folder; checks at once that it can be written."""
    return _writable(text, is_folder=True)


def _writable(text, is_folder):
    try:
        check_writable(text, is_folder)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return Path(text)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--work-dir', help='folder for logs, checkpoints and the config')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. train_dataloader.batch_size=6; lists are '
        'written key="[a,b]" or key=a,b, without spaces',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config, and set launcher and work directory."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    cfg.launcher = args.launcher
    if args.work_dir:
        cfg.work_dir = args.work_dir
    elif not cfg.get('work_dir'):
        cfg.work_dir = f'./work_dirs/{Path(args.config).stem}'
    check_writable(cfg.work_dir, is_folder=True)
    return cfg


def check_checkpoint(path: str) -> None:
    """Check that a checkpoint exists and is a file; addresses are not checked."""
    if '://' not in path:
        try:
            check_regular(Path(path).expanduser())
        except FileNotFoundError:
            raise UserError(f'the checkpoint {path} does not exist') from None


def start_runner(cfg: Config, args: argparse.Namespace) -> Runner:
    """Apply ``--cfg-options``, which override all other settings, and build the Runner."""
    merge_options(cfg, args.cfg_options or {})
    return build_runner(cfg)
