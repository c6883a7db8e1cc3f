"""Short, readable console output."""
import logging
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import mmcv
import mmengine
import mmpretrain
import torch

from cicam_mm.version import __version__

#: Seconds between lines about the progress of a long piece of work.
REPORT_EVERY = 8


class ConsoleFilter(logging.Filter):
    """Drops uninformative lines: one per parameter, and mmengine's own deprecations.

    ``last_line`` is the time of the last line that any filter let pass.
    """

    NOISE = (
        'paramwise_options --',
        'is skipped since its requires_grad',
        '"FileClient" will be deprecated',
        '"HardDiskBackend" is the alias',
        'Exp name:',
        'LR is set based on batch size',  # share_total_batch says it
    )

    last_line = 0.

    def filter(self, record: logging.LogRecord) -> bool:
        if any(noise in str(record.msg) for noise in self.NOISE):
            return False
        ConsoleFilter.last_line = time.monotonic()
        return True


def environment_line(world_size: int) -> str:
    """Versions of the stack and the device, in one line."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    versions = ', '.join(f'{module.__name__} {module.__version__}'
                         for module in (mmpretrain, mmcv, mmengine, torch))
    processes = f'{world_size} x ' if world_size > 1 else ''
    return (f'cicam_mm {__version__}, {versions}, Python {platform.python_version()}, '
            f'on {processes}{device}')


def format_table(rows: list[list[str]]) -> str:
    """A header and rows as plain text; the first column is left-aligned, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    line = '  '.join(f'{{:{"<" if i == 0 else ">"}{width}}}' for i, width in enumerate(widths))
    rule = ['-' * width for width in widths]
    return '\n'.join(line.format(*row) for row in [rows[0], rule, *rows[1:]])


def format_number(value: float) -> str:
    """A number with two decimals, or below 1 with three significant digits."""
    return f'{value:.2f}' if abs(value) >= 1 or value == 0 else f'{value:.3g}'


def metric_table(title: str, metrics: Mapping) -> str:
    """The numbers among some metrics as plain text, one in a row."""
    rows = [[name, format_number(value)] for name, value in metrics.items()
            if isinstance(value, (int, float))]
    return format_table([[title, 'value'], *rows])


Item = TypeVar('Item')


def with_progress(items: Iterable[Item], describe: Callable[[int], str],
                  seconds: float = REPORT_EVERY) -> Iterator[Item]:
    """Yield items; every so many seconds, print what ``describe`` says of the finished number."""
    printed = time.monotonic()
    for number, item in enumerate(items):
        if time.monotonic() - printed > seconds:
            print(describe(number), flush=True)
            printed = time.monotonic()
        yield item
