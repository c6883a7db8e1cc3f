"""Paired timings: the speed of a machine drifts, so only what takes turns can be compared."""

import os
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import torch

# With one thread the time of the processor is measured, which others hardly disturb. Several
# threads that wait for each other lose far more than the share that others take: a turn during
# which others took more of a processor than this is measured again, as often as that.
DISTURBED, ATTEMPTS = 0.05, 5


@dataclass
class Row:
    """One line of the table.

    Attributes:
        subject: What was measured.
        variant: In which form.
        ratio: To the first variant of its subject.
        figure: The absolute value, of this machine and moment.
        unit: Of the figure.
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
    """Rows in milliseconds, each with the median of its ratios to the first, round by round.

    Args:
        subject (str): What was measured.
        seconds (dict): As :func:`alternate` returns them.
        per (int): Images that one action handles. Defaults to 1.
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
    """Of all processes but this one and its ended children; 0 where the kernel does not tell."""
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
