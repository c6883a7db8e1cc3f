"""Paired timings of actions that take turns, because the speed of a machine drifts."""

import os
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import torch

# With one thread, processor time is measured, which other processes hardly disturb. With several
# threads, which wait for each other, wall time is measured: a turn in which other processes used
# more than the share DISTURBED of a processor is repeated, up to ATTEMPTS times.
DISTURBED, ATTEMPTS = 0.05, 5


@dataclass
class Row:
    """One line of the table.

    Attributes:
        subject: What was measured.
        variant: The variant of it.
        ratio: Ratio to the first variant of the subject.
        figure: The absolute value on this machine at this moment.
        unit: Unit of the figure.
    """
    subject: str
    variant: str
    ratio: float
    figure: float
    unit: str


def alternate(actions: Mapping[str, Callable],
              rounds: int,
              warmup: int = 1,
              device: str = 'cpu') -> dict[str, list]:
    """Seconds of each action in each round; the actions take turns."""
    if device == 'cuda':
        measure = _seconds_of_events
    else:
        measure = _undisturbed_seconds if torch.get_num_threads() > 1 else _processor_seconds
    seconds = {name: [] for name in actions}
    for number in range(warmup + rounds):
        for name, action in actions.items():
            if number < warmup:
                action()
            else:
                seconds[name].append(measure(action))
    return seconds


def compare(subject: str, seconds: dict[str, list], per: int = 1) -> list[Row]:
    """Rows in milliseconds; ratios are medians over the rounds, each relative to the first row.

    Args:
        subject (str): What was measured.
        seconds (dict): From :func:`alternate`.
        per (int): Number of images per action. Defaults to 1.
    """
    first = next(iter(seconds.values()))
    return [Row(subject, name, median(a / b for a, b in zip(times, first, strict=True)),
                1000 * median(times) / per, 'ms') for name, times in seconds.items()]


def compare_rates(subject: str, seconds: dict[str, list], count: int) -> list[Row]:
    """As :func:`compare`, but rows in images a second: more is better.

    Args:
        subject (str): What was measured.
        seconds (dict): As :func:`alternate` returns them.
        count (int): Images that one action handles.
    """
    return [Row(subject, row.variant, 1 / row.ratio, 1000 / row.figure, 'images/s')
            for row in compare(subject, seconds, per=count)]


def _processor_seconds(action):
    start = process_time()
    action()
    return process_time() - start


def _undisturbed_seconds(action):
    for _ in range(ATTEMPTS):
        others, start = _processor_seconds_of_others(), perf_counter()
        action()
        seconds = perf_counter() - start
        # the kernel counts in hundredths of a second
        if _processor_seconds_of_others() - others <= max(DISTURBED * seconds, 0.03):
            break
    return seconds


def _processor_seconds_of_others():
    """Time of all processes except this one and its ended children; 0 if unknown."""
    if not Path('/proc/stat').exists():
        return 0
    user, nice, system, _, _, irq, softirq, steal = map(
        int, Path('/proc/stat').read_text().split('\n')[0].split()[1:9])
    total = (user + nice + system + irq + softirq + steal) / os.sysconf('SC_CLK_TCK')
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return total - sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _seconds_of_events(action):
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    action()
    stop.record()
    torch.cuda.synchronize()
    return start.elapsed_time(stop) / 1000
