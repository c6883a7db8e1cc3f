"""What the command lines share. Imports nothing heavy, so that help and mistakes answer at once.

A tool parses its arguments before it imports anything of ``cicam_mm``, in its ``main``.
"""
import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path


def run(main: Callable, parser: 'ArgumentParser') -> None:
    """Parse the arguments and call ``main`` with them.

    Expected errors are printed as one sentence, or with ``--debug`` as a traceback. Exceptions are
    recorded, so that torchrun can show the one of the rank that failed first.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')  # for file names that are not valid text
    args = parser.parse_args()
    if 'torch' not in sys.modules and os.environ.get('LOCAL_RANK', '0') == '0':
        print('Loading PyTorch and MMPretrain ...', file=sys.stderr, flush=True)  # takes seconds
    import cicam_mm.utils.errors as errors  # before the mm libraries, which it checks

    # isort: split
    import torch
    from torch.distributed.elastic.multiprocessing.errors import record

    from cicam_mm.checkpoints.loading import data_only
    from cicam_mm.utils.distributed import end_children_with_this_process

    end_children_with_this_process()

    @data_only
    @record
    def work():
        try:
            parser.check(args)
            main(args)
        except Exception as error:
            sentence = None if args.debug else errors.as_sentence(error)
            if sentence is None:
                raise
            raise errors.UserError(sentence) from None

    try:
        work()
    except errors.UserError as error:
        if args.debug:
            raise
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)  # the exit code of shells for SIGINT
    # without this, gloo sometimes aborts at exit and the job counts as failed
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class ArgumentParser(argparse.ArgumentParser):
    """The parser of a tool, with the groups of options that tools share.

    ``example`` is a command, without ``cicam_mm``.
    """

    def __init__(self, description: str, example: str):
        super().__init__(prog=f'cicam_mm {Path(sys.argv[0]).stem}', description=description,
                         epilog=f'Example: cicam_mm {example}')
        self.add_argument('--debug', action='store_true', help='show the traceback of any error')
        self._outputs = {}

    def add_output(self, name: str, is_folder: bool = False, **options) -> None:
        """An option for a file or folder to write, checked before the work starts."""
        action = self.add_argument(name, type=Path, **options)
        self._outputs[action.dest] = is_folder

    def add_model(self) -> None:
        """The model: CONFIG CHECKPOINT, or the work directory of a training."""
        self.add_argument('config', help='path of a config, a name of MMPretrain\'s zoo, or the '
                          'work directory of a training')
        self.add_argument('checkpoint', nargs='?', help='path or address of the checkpoint; '
                          'default: the latest one of the work directory')
        self.add_settings()

    def add_settings(self) -> None:
        """How a model localizes, in place of what its config says."""
        group = self.add_argument_group('how to localize')
        group.add_argument('--cam', nargs='?', const='cam', metavar='METHOD',
                           help='localize with any MMPretrain classifier, whose config is given, '
                           'by this method: cam (default), gradcam, layercam, scorecam, ...')
        group.add_argument('--target-layers', nargs='+', default=[], metavar='NAME',
                           help='layers whose maps the method of --cam takes, such as '
                           'backbone.layer4; default: the last one that gives a map')
        group.add_argument('--settings', type=Path, metavar='FILE',
                           help='map rule and theta of a search: its search.json')
        group.add_argument('--map-rule', metavar='NAME', help='how to combine the maps')
        group.add_argument('--box-rule', metavar='NAME', help='how to find the box of a map')
        group.add_argument('--theta', type=float,
                           help='threshold, for most box rules a share of the maximum')
        group.add_argument('--data', metavar='CONFIG',
                           help='take the validation and test images of this config')
        self.add_cfg_options()

    def add_cfg_options(self) -> None:
        self.add_argument(
            '--cfg-options', nargs='+', action='extend', type=key_value, default=[],
            metavar='KEY=VALUE', help='override settings of the config, e.g. '
            'train_dataloader.batch_size=6; lists are written key="[a,b]" or key=a,b, without '
            'spaces')

    def add_run(self) -> None:
        """Options of tools that build a Runner."""
        self.add_argument('--work-dir', help='folder for logs, checkpoints and the config')
        self.add_launcher()

    def add_launcher(self) -> None:
        self.add_argument(
            '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
        self.add_argument('--local_rank', '--local-rank', type=int, default=0)

    def add_device_and_style(self) -> None:
        self.add_argument('--device', help='default: a GPU if there is one')
        self.add_argument('--style', choices=('paper', 'color_blind'), default='paper',
                          help='colours of the pictures')

    def check(self, args: argparse.Namespace) -> None:
        """Check before the work starts what takes imports to check."""
        import torch

        from cicam_mm.utils.errors import UserError
        from cicam_mm.utils.io import check_writable

        for name, is_folder in self._outputs.items():
            if getattr(args, name) is not None:
                check_writable(getattr(args, name), is_folder)
        if device := getattr(args, 'device', None):
            try:
                torch.empty(1, device=device).item()  # which meta tensors do not have
            except (RuntimeError, AssertionError) as error:  # the latter: torch without CUDA
                reason = str(error).split('\n')[0]
                raise UserError(
                    f"there is no device '{device}' to compute on: {reason}") from None


def positive(text: str) -> int:
    """Argument type for a positive integer of at most nine digits."""
    if not re.fullmatch('0*[1-9][0-9]*', text) or len(text) > 9:
        raise argparse.ArgumentTypeError(f"'{text:.40}' is not a positive integer")
    return int(text)


def number(text: str) -> int:
    """Argument type for a non-negative integer."""
    return 0 if text == '0' else positive(text)


def key_value(text: str) -> str:
    """Argument type for KEY=VALUE."""
    if '=' not in text:
        raise argparse.ArgumentTypeError(f"takes KEY=VALUE, not '{text}'")
    return text


def check_checkpoint(path: str) -> None:
    """Refuse the path of something that is not a regular file."""
    from cicam_mm.utils.errors import UserError
    from cicam_mm.utils.io import check_regular

    if '://' not in path:
        try:
            check_regular(Path(path).expanduser())
        except FileNotFoundError:
            raise UserError(f'the checkpoint {path} does not exist') from None


def load_config(args: argparse.Namespace):
    """The config of ``args.config``, with all settings of the arguments.

    For a work directory, ``args.checkpoint`` becomes its latest checkpoint.
    """
    from cicam_mm.apis import configs
    from cicam_mm.utils.errors import UserError
    from cicam_mm.utils.io import check_writable
    from cicam_mm.utils.settings import merge_options

    cfg = configs.read_config(args.config)
    configs.write_out_localizer(cfg)
    if hasattr(args, 'checkpoint'):
        args.checkpoint = (args.checkpoint or configs.latest_checkpoint(args.config)
                           or cfg.get('load_from'))
        if not args.checkpoint:
            raise UserError(f'{args.config} needs a checkpoint; give its path.')
        check_checkpoint(args.checkpoint)
    if hasattr(args, 'settings'):
        if args.data:
            configs.use_data_of(cfg, args.data)
        if args.cam:
            configs.localize_config(cfg, args.cam, args.target_layers)
        configs.apply_settings(cfg, args.settings, map_rule=args.map_rule,
                               box_rule=args.box_rule, theta=args.theta)
    merge_options(cfg, configs.parse_options(cfg, args.cfg_options))
    if hasattr(args, 'work_dir'):
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
        cfg.launcher = args.launcher
        cfg.work_dir = (args.work_dir or cfg.get('work_dir')
                        or f'./work_dirs/{Path(args.config).stem}')
        check_writable(cfg.work_dir, is_folder=True)
    return cfg
