"""Building a Runner from a config, for command lines and scripts alike."""
import fcntl
import getpass
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from cicam_mm.checkpoints.resume import find_resumable
from cicam_mm.utils.console import ConsoleFilter, environment_line
from cicam_mm.utils.distributed import launched_rank, prepare_cpu_distributed
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.settings import check_keys

#: Seconds that ranks wait for each other unless ``env_cfg.dist_cfg.timeout`` is set.
TIMEOUT = 600


def build_runner(cfg: Config) -> Runner:
    """Prepare a config and build its Runner, without logging 300 lines of config and environment.

    One line with versions and device replaces them; the config is still saved to the work
    directory. Lines that :class:`ConsoleFilter` drops still go to the log file. The processes
    share the total batch of the config (:func:`share_total_batch`).

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
    logging.disable(logging.INFO)
    try:
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    finally:
        logging.disable(logging.NOTSET)
    runner.logger.setLevel(runner.logger.level)  # clears what was cached while disabled
    for handler in runner.logger.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.addFilter(ConsoleFilter())
    runner.logger.info(environment_line(runner.world_size))
    runner.logger.info(f'Work directory: {runner.work_dir}')
    share_total_batch(runner)
    return runner


def share_total_batch(runner: Runner) -> None:
    """Divide the images of a step among the processes, so that any number trains the recipe.

    ``auto_scale_lr.base_batch_size`` is the total batch that a config's learning rate is for.
    With accumulated gradients it is that of all forward passes of a step. Each process trains its
    share, rounded, but at least one image and at most the config's
    ``train_dataloader.batch_size``. If the shares do not add up to the total batch, the rate is
    scaled in proportion. Without ``base_batch_size``, each process has ``batch_size`` images.

    Args:
        runner (Runner): Before its training starts; loader and rate are changed.

    Raises:
        UserError: If ``batch_size`` is more than the total batch.
    """
    loader = runner._train_dataloader
    total = (runner.auto_scale_lr or {}).get('base_batch_size')
    most = loader.get('batch_size') if isinstance(loader, dict) else None
    if not total or not most:
        return
    if most > total:
        raise UserError(
            f'train_dataloader.batch_size is {most}, but a step has {total} images in all '
            '(auto_scale_lr.base_batch_size); for another total batch set both, and a learning '
            'rate for it.')
    passes = (runner.cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    parts = runner.world_size * passes
    share = min(max(round(total / parts), 1), most)
    images = share * parts
    runner._train_dataloader = dict(loader, batch_size=share)
    # scales by the images of one forward pass
    runner.auto_scale_lr = dict(base_batch_size=total / passes, enable=images != total)
    factors = ' x '.join(map(str, [runner.world_size, share] + [passes] * (passes > 1)))
    line = f'A step has {factors} = {images} images'
    if images != total:
        line += f' instead of {total}; the learning rate is multiplied by {images / total:.4g}'
    if parts > 1 or images != total:
        runner.logger.info(f'{line}.')


def prepare_config(cfg: Config) -> None:
    """Set what depends on the machine and the work directory, and add the safety hooks.

    - Modules of ``custom_imports`` are imported.
    - Data loaders stack batches, pin memory if there is a GPU, and keep their workers alive.
    - Distributed jobs run on the CPU if there is no GPU.
    - ``resume=True`` without ``load_from`` resumes from the latest intact checkpoint of the work
      directory.
    - Checkpoints have to fit the model (:class:`CheckpointFitHook`), the test pipeline the frame
      of the boxes (:class:`BoxFrameHook`), and class names each other
      (:class:`ClassNamesHook`).
    - Ranks wait ten minutes for each other, and one that hangs is named (:class:`RankWatchHook`).

    Settings in the config take precedence, except for ``persistent_workers`` without workers.

    Args:
        cfg (Config): Changed in place.

    Raises:
        UserError: If a top-level setting is misspelt, see :func:`check_keys`.
    """
    check_keys(cfg)
    if cfg.get('custom_imports'):  # the process of a sweep's run has not read the config's file
        import_modules_from_strings(**cfg.custom_imports)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if loader := cfg.get(name):
            loader.setdefault('collate_fn', dict(type='default_collate'))
            loader.setdefault('pin_memory', torch.cuda.is_available())
            has_workers = loader.get('num_workers', 0) > 0
            loader.persistent_workers = has_workers and loader.get('persistent_workers', True)
    hooks = dict(checkpoint_fit=dict(type='CheckpointFitHook'),
                 box_frame=dict(type='BoxFrameHook'),
                 class_names=dict(type='ClassNamesHook'))
    cfg.default_hooks = hooks | (cfg.get('default_hooks') or {})
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
