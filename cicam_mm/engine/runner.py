"""Building a Runner from a config, for command lines and scripts alike."""
import logging
import time
from collections.abc import Iterator
from contextlib import ContextDecorator, contextmanager
from copy import copy
from pathlib import Path
from textwrap import shorten

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from cicam_mm.checkpoints.loading import data_only
from cicam_mm.checkpoints.resume import find_resumable
from cicam_mm.utils.console import ConsoleFilter, environment_line
from cicam_mm.utils.distributed import launched_rank, prepare_cpu_distributed
from cicam_mm.utils.errors import UserError, as_sentence, message_of
from cicam_mm.utils.io import lock_folder, remove_leftovers
from cicam_mm.utils.settings import MMENGINE_HOOKS, check_settings

from .check_hooks import check_monitored

#: Seconds without a line on the console after which one says how far the loop is.
SILENCE = 8

#: Seconds that ranks wait for each other unless ``env_cfg.dist_cfg.timeout`` is set.
TIMEOUT = 600


def build_runner(cfg: Config) -> Runner:
    """Check and prepare a config, and build its Runner with a short console.

    One line with versions and device replaces 300 of config and environment; the config is saved
    to the work directory, and the log file has what :class:`ConsoleFilter` drops. What the
    Runner's ``train``, ``val`` and ``test`` load is read as data, see :data:`data_only`.

    Examples:
        >>> cfg = Config.fromfile('configs/cicam_tiny_shapes.py')
        >>> cfg.work_dir = 'work_dirs/mine'
        >>> build_runner(cfg).train()
    """
    start = Start()
    with start:
        prepare_config(cfg)
    cfg = copy(cfg)
    object.__setattr__(cfg, '__class__', FormattedOnce)
    logging.disable(logging.INFO)
    try:
        with data_only, start:
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
    runner.register_hook(start)
    for name in ('train', 'val', 'test'):
        setattr(runner, name, data_only(start(getattr(runner, name))))
    return runner


def share_total_batch(runner: Runner) -> None:
    """Divide the images of a step among the processes, so that any number trains the recipe.

    ``auto_scale_lr.base_batch_size`` is the total batch that a config's learning rate is for, of
    all forward passes of a step. Each process trains its share, rounded, of at least one image and
    at most ``train_dataloader.batch_size``. If the shares do not add up to the total batch, the
    rate is scaled in proportion.
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


class Start(Hook, ContextDecorator):
    """Checks that a run does something, and says in a sentence why it does not begin.

    What fails before the end of the first step of a training, validation or test is due to the
    settings. A later error is unexpected and keeps its traceback.
    """

    priority = 'VERY_HIGH'

    def __init__(self):
        self._loop, self._begun = 'run', set()

    def __enter__(self) -> None:
        self._loop = 'run'

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, Exception) and self._loop not in self._begun and (
                as_sentence(error) is None):
            message = shorten(message_of(error).strip().rsplit('\n', 1)[-1], 300)
            raise UserError(f'the {self._loop} cannot begin with these settings: {kind.__name__}: '
                            f'{message}') from error

    def before_train(self, runner) -> None:
        if runner.max_iters < 1:
            loader = runner.train_dataloader
            raise UserError(
                f'the training would make no step: {len(loader.dataset)} images in batches of '
                f'{loader.batch_size} for {runner.max_epochs} epochs; set a smaller train_'
                'dataloader.batch_size, drop_last=False, or more train_cfg.max_epochs.')
        check_monitored(runner)

    def _before_epoch(self, runner, mode: str = 'train') -> None:
        self._loop = dict(train='training', val='validation', test='test')[mode]

    def _after_iter(self, runner, batch_idx: int, data_batch=None, outputs=None,
                    mode: str = 'train') -> None:
        self._begun.add(self._loop)
        done, total = (runner.iter + 1, runner.max_iters) if mode == 'train' else (
            batch_idx + 1, len(getattr(runner, f'{mode}_dataloader')))
        if time.monotonic() - ConsoleFilter.last_line > SILENCE:
            runner.logger.info(f'{self._loop.capitalize()}: {done} of {total} batches')
        if mode != 'train' and done == total:
            self._loop = 'evaluation'

    def _after_epoch(self, runner, mode: str = 'train') -> None:
        self._begun.add(self._loop)
        if mode == 'val':  # within a training, or the end of a validation
            self._loop = 'training'


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
    """Check the settings, set what depends on the machine, and add the safety hooks, in place.

    - Data loaders stack batches, pin memory if there is a GPU, and keep their workers alive.
    - Distributed jobs run on the CPU if there is no GPU; ranks wait ten minutes for each other.
    - ``resume=True`` without ``load_from`` resumes from the latest intact checkpoint of the work
      directory.
    - :class:`CheckpointFitHook`, :class:`BoxFrameHook` and :class:`ClassNamesHook` cannot be left
      out by None, as other hooks can.
    - The best checkpoint has the highest value of ``save_best`` if no ``rule`` says otherwise.
    """
    check_settings(cfg)
    for split in 'train', 'val', 'test':
        if loader := cfg.get(f'{split}_dataloader'):
            loader.setdefault('collate_fn', dict(type='default_collate'))
            loader.setdefault('pin_memory', torch.cuda.is_available())
            has_workers = loader.get('num_workers', 0) > 0
            loader.persistent_workers = has_workers and loader.get('persistent_workers', True)
    hooks = dict(checkpoint_fit=dict(type='CheckpointFitHook'),
                 box_frame=dict(type='BoxFrameHook'),
                 class_names=dict(type='ClassNamesHook'))
    cfg.default_hooks = hooks | {
        name: hook for name, hook in (cfg.get('default_hooks') or {}).items()
        if hook is not None or name in MMENGINE_HOOKS}
    checkpoint = cfg.default_hooks.get('checkpoint') or {}
    if (best := str(checkpoint.get('save_best') or 'loss')) and not any(
            word in best for word in ('loss', 'error')):  # MMEngine knows few metrics
        checkpoint.setdefault('rule', 'greater')
    if cfg.get('launcher', 'none') != 'none':
        launched_rank(cfg.launcher)  # or an error
        env_cfg = cfg.get('env_cfg') or {}
        cfg.env_cfg = dict(env_cfg, dist_cfg=dict(timeout=TIMEOUT) | (
            env_cfg.get('dist_cfg') or {}))
    prepare_cpu_distributed(cfg)
    if cfg.get('resume') and not cfg.get('load_from'):
        latest = find_resumable(cfg.work_dir)
        cfg.load_from, cfg.resume = latest and str(latest), latest is not None


@contextmanager
def lock_work_dir(work_dir: str | Path, rank: int = 0) -> Iterator[None]:
    """Lock a work directory, because two trainings in it would overwrite each other's files.

    The file ``.training.lock`` names the owner. Only rank 0 holds the lock.
    """
    if rank != 0:
        yield
        return
    in_use = f'{work_dir} is in use by another training'
    with lock_folder(Path(work_dir) / '.training.lock', in_use):
        remove_leftovers(work_dir)
        yield
