"""Paired timings: the speed of a machine drifts, so only what takes turns can be compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter


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


def alternate(actions: Mapping[str, Callable], rounds: int, warmup: int = 1) -> dict[str, list]:
    """Seconds of each action in each round; the actions take turns."""
    seconds = {name: [] for name in actions}
    for number in range(warmup + rounds):
        for name, action in actions.items():
            start = perf_counter()
            action()
            if number >= warmup:
                seconds[name].append(perf_counter() - start)
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
