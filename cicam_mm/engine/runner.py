"""Building a Runner from a config, for command lines and scripts alike."""
import logging

import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from cicam_mm.compat import launched_rank, prepare_cpu_distributed

from .config_keys import check_keys
from .console import ConsoleFilter, environment_line
from .resume import find_resumable

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
    return runner


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
        UserError: If a top-level setting is misspelt, see :func:`check_keys`.
    """
    check_keys(cfg)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if loader := cfg.get(name):
            loader.setdefault('collate_fn', dict(type='default_collate'))
            loader.setdefault('pin_memory', torch.cuda.is_available())
            has_workers = loader.get('num_workers', 0) > 0
            loader.persistent_workers = has_workers and loader.get('persistent_workers', True)
    hooks = dict(checkpoint_fit=dict(type='CheckpointFitHook'),
                 box_frame=dict(type='BoxFrameHook'),
                 total_batch=dict(type='TotalBatchHook'))
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
