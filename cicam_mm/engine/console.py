"""What a run shows on the console: little, and readable."""

import logging
import platform

import mmcv
import mmengine
import mmpretrain
import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from cicam_mm.version import __version__


class ConsoleFilter(logging.Filter):
    """Drops what tells a reader nothing: a line per parameter, mmengine's own deprecations."""

    NOISE = (
        'paramwise_options --',
        'is skipped since its requires_grad',
        '"FileClient" will be deprecated',
        '"HardDiskBackend" is the alias',
        'Exp name:',
    )

    def filter(self, record: logging.LogRecord) -> bool:
        return not any(noise in str(record.msg) for noise in self.NOISE)


def build_runner(cfg: Config) -> Runner:
    """Build the Runner of a config without its 300 lines about config and environment.

    One line with versions and device stands in for them; the config is dumped to the work
    directory in any case. What :class:`ConsoleFilter` drops still reaches the log file.

    Args:
        cfg (Config): A complete config, with ``work_dir``.

    Returns:
        Runner: The runner, its logger back at the level of the config.
    """
    logging.disable(logging.INFO)
    try:
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    finally:
        logging.disable(logging.NOTSET)
    runner.logger.setLevel(runner.logger.level)  # forgets what it cached while disabled
    for handler in runner.logger.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.addFilter(ConsoleFilter())
    runner.logger.info(environment_line(runner.world_size))
    runner.logger.info(f'Work directory: {runner.work_dir}')
    return runner


def environment_line(world_size: int) -> str:
    """Versions of the stack and the device, in one line."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    versions = [
        f'cicam_mm {__version__}',
        f'mmpretrain {mmpretrain.__version__}',
        f'mmcv {mmcv.__version__}',
        f'mmengine {mmengine.__version__}',
        f'torch {torch.__version__}',
        f'Python {platform.python_version()}',
    ]
    processes = f'{world_size} x ' if world_size > 1 else ''
    return f'{", ".join(versions)}, on {processes}{device}'


def format_table(rows: list[list[str]]) -> str:
    """Align rows of cells as plain text: the first column left, all others right.

    Args:
        rows (list[list[str]]): The header, then the body; all of one length.

    Returns:
        str: The lines of the table, a rule below the header.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    line = '  '.join(f'{{:{"<" if i == 0 else ">"}{width}}}' for i, width in enumerate(widths))
    rule = ['-' * width for width in widths]
    return '\n'.join(line.format(*row) for row in [rows[0], rule, *rows[1:]])
