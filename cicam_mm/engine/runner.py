"""Building a Runner from a config, for command lines and scripts alike."""
import fcntl
import getpass
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ContextDecorator, contextmanager
from copy import copy
from datetime import datetime
from pathlib import Path
from textwrap import shorten

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from cicam_mm.checkpoints.loading import data_only
from cicam_mm.checkpoints.resume import find_resumable
from cicam_mm.utils.console import ConsoleFilter, environment_line
from cicam_mm.utils.distributed import launched_rank, prepare_cpu_distributed
from cicam_mm.utils.errors import UserError, as_sentence, message_of
from cicam_mm.utils.settings import check_settings

MMENGINE_HOOKS = 'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'

#: Seconds that ranks wait for each other unless ``env_cfg.dist_cfg.timeout`` is set.
TIMEOUT = 600


def build_runner(cfg: Config) -> Runner:
    """Prepare a config and build its Runner, without logging 300 lines of config and environment.

    One line with versions and device replaces them; the config is still saved to the work
    directory. Lines that :class:`ConsoleFilter` drops still go to the log file.

    Args:
        cfg (Config): A complete config with ``work_dir``; :func:`prepare_config` changes it.

    Returns:
        Runner: The runner, with its logger at the level set in the config.

    Examples:
        >>> cfg = Config.fromfile('configs/cicam_tiny_shapes.py')
        >>> cfg.work_dir = 'work_dirs/mine'
        >>> build_runner(cfg).train()
    """
    prepare_config(cfg)
    cfg = copy(cfg)
    object.__setattr__(cfg, '__class__', FormattedOnce)
    logging.disable(logging.INFO)
    first_step = FirstStep()
    try:
        with data_only, first_step:
            runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    finally:
        logging.disable(logging.NOTSET)
    runner.logger.setLevel(runner.logger.level)  # clears what was cached while disabled
    for handler in runner.logger.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.addFilter(ConsoleFilter())
    runner.logger.info(environment_line(runner.world_size))
    runner.logger.info(f'Work directory: {runner.work_dir}')
    runner.register_hook(first_step, 'LOWEST')
    for name in ('train', 'val', 'test'):
        setattr(runner, name, data_only(first_step(getattr(runner, name))))
    return runner


class FirstStep(Hook, ContextDecorator):
    """Blames the settings for what fails before the end of a loop's first step.

    Such an error becomes one sentence. A later one is unexpected and keeps its traceback.
    """

    def __init__(self):
        self._loop, self._begun = 'run', set()

    def _before_epoch(self, runner, mode: str = 'train') -> None:
        self._loop = dict(train='training', val='validation', test='test')[mode]

    def _after_iter(self, runner, batch_idx: int, data_batch=None, outputs=None,
                    mode: str = 'train') -> None:
        self._begun.add(self._loop)

    def _after_epoch(self, runner, mode: str = 'train') -> None:
        if mode == 'val':  # within a training, or the end of a validation
            self._loop = 'training'

    def __enter__(self) -> None:
        self._loop = 'run'

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, Exception) and self._loop not in self._begun and (
                as_sentence(error) is None):
            message = shorten(message_of(error).strip().rsplit('\n', 1)[-1], 300)
            raise UserError(f'the {self._loop} cannot begin with these settings: {kind.__name__}: '
                            f'{message}') from error


class FormattedOnce(Config):
    """A config whose text is formatted once, not for each checkpoint and log.

    yapf takes half a second each time, a quarter of a training of the demo set.
    """

    texts = {}

    @property
    def pretty_text(self) -> str:
        key = repr(self._cfg_dict)
        if key not in self.texts:
            self.texts.clear()
            self.texts[key] = super().pretty_text
        return self.texts[key]


def prepare_config(cfg: Config) -> None:
    """Set what depends on the machine and the work directory, and add the safety hooks.

    - Data loaders stack batches, pin memory if there is a GPU, and keep their workers alive.
    - Distributed jobs run on the CPU if there is no GPU.
    - ``resume=True`` without ``load_from`` resumes from the latest intact checkpoint of the work
      directory.
    - Checkpoints have to fit the model (:class:`CheckpointFitHook`), and the test pipeline the
      frame of the boxes (:class:`BoxFrameHook`); a total batch that the learning rate is not for
      causes a warning (:class:`TotalBatchHook`).
    - Ranks wait ten minutes for each other, and one that hangs is named (:class:`RankWatchHook`).

    Settings in the config take precedence, except for ``persistent_workers`` without workers.

    Args:
        cfg (Config): Changed in place.

    Raises:
        UserError: If a top-level setting is misspelt, see :func:`check_settings`.
    """
    check_settings(cfg)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if loader := cfg.get(name):
            loader.setdefault('collate_fn', dict(type='default_collate'))
            loader.setdefault('pin_memory', torch.cuda.is_available())
            has_workers = loader.get('num_workers', 0) > 0
            loader.persistent_workers = has_workers and loader.get('persistent_workers', True)
    hooks = dict(checkpoint_fit=dict(type='CheckpointFitHook'),
                 box_frame=dict(type='BoxFrameHook'),
                 total_batch=dict(type='TotalBatchHook'))
    cfg.default_hooks = hooks | {name: hook for name, hook in (
        cfg.get('default_hooks') or {}).items() if hook is not None or name in MMENGINE_HOOKS}
    if cfg.get('launcher', 'none') != 'none':
        launched_rank(cfg.launcher)  # or an error
        env_cfg = cfg.get('env_cfg') or {}
        options = dict(timeout=TIMEOUT) | (env_cfg.get('dist_cfg') or {})
        cfg.env_cfg = dict(env_cfg, dist_cfg=options)
        # before it, to say who
        watch = dict(type='RankWatchHook', timeout=0.8 * options['timeout'])
        cfg.default_hooks = dict(rank_watch=watch) | cfg.default_hooks
    prepare_cpu_distributed(cfg)
    if cfg.get('resume') and not cfg.get('load_from'):
        latest = find_resumable(cfg.work_dir)
        cfg.load_from, cfg.resume = latest and str(latest), latest is not None


LOCK = '.training.lock'


@contextmanager
def lock_work_dir(work_dir: str | Path, rank: int = 0) -> Iterator[None]:
    """Lock a work directory, because two trainings in it would overwrite each other's files.

    The operating system releases the lock when its process ends, however it ends, so there is no
    need to remove locks by hand; one left by a process that died is taken over with a warning. The
    file ``.training.lock`` names the owner. Network file systems also lock between machines,
    unless they are mounted without locking.

    Args:
        work_dir (str | Path): Created if missing.
        rank (int): Rank of this process; only rank 0 holds the lock. Defaults to 0.

    Raises:
        UserError: If another training holds the lock; the message names process, user and host.
    """
    if rank != 0:
        yield
        return
    path = Path(work_dir) / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'a+', encoding='utf-8', errors='replace') as file:
        is_held = _is_held_by_another(file)
        file.seek(0)
        owner = _describe(file.read(1000))
        if is_held:
            raise UserError(f'{work_dir} is in use by another training, {owner}; wait for it, end '
                            'it, or use another work directory.')
        if owner:
            print_log(f'Taking over the lock of {work_dir} that was left behind by {owner}.',
                      'current', logging.WARNING)
        file.truncate(0)
        json.dump(dict(user=_user(), host=socket.gethostname(), pid=os.getpid(),
                       since=datetime.now().isoformat(' ', 'seconds')), file)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _is_held_by_another(file):
    try:
        # a POSIX lock rather than a BSD one, because forked processes do not inherit it
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError as error:
        print_log(f'{file.name} cannot be locked ({error.strerror}), so a second training in this '
                  'work directory would not be noticed.', 'current', logging.WARNING)
    return False


def _user():
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in containers the user may have no name
        return f'user {os.getuid()}'


def _describe(text):
    """The owner named in the text of a lock, '' if the lock was released."""
    try:
        owner = json.loads(text) if text else {}
        return owner and (f'process {owner["pid"]} of {owner["user"]} on {owner["host"]} since '
                          f'{owner["since"]}')
    except (ValueError, KeyError, TypeError):
        return 'an unknown process'
