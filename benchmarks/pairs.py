"""Paired timings: actions take turns, because the speed of a machine drifts."""
from collections.abc import Callable, Iterator, Mapping
from math import exp, log
from statistics import median
from time import process_time
from typing import NamedTuple

import torch

from cicam_mm.sweep.statistics import estimate
from cicam_mm.utils.console import with_progress


class Comparison(NamedTuple):
    """An action against the first one of its subject.

    ``ratio`` is the geometric mean over the pairs, from ``low`` to ``high`` its 95 % interval
    (Student's t on the logarithms), ``figure`` the median of the action itself, here and now.
    """
    subject: str
    variant: str
    ratio: float
    low: float
    high: float
    figure: float
    unit: str
    pairs: int

    def __str__(self) -> str:
        return (f'{self.variant:44} {self.ratio:5.2f} [{self.low:.2f}, {self.high:.2f}]  '
                f'{self.figure:,.4g} {self.unit}')


def compare(subject: str, actions: Mapping[str, Callable], pairs: int, per: int = 1,
            device: str = 'cpu') -> Iterator[Comparison]:
    """Time actions in turn and compare each with the first one.

    On a CPU this is the processor time of all threads of the process, which other processes
    disturb little; on a GPU the time between two events. Each action has a first turn that does
    not count. ``per`` is the number of images per action.
    """
    seconds, measure = {name: [] for name in actions}, MEASURES[device]
    for turn in with_progress(range(pairs + 1), lambda n: f'{subject}: {n} of {pairs} pairs'):
        for name, action in actions.items():
            taken = measure(action)
            if turn:
                seconds[name].append(taken)
    first = next(iter(seconds.values()))
    for name, taken in seconds.items():
        logs = estimate([log(a / b) for a, b in zip(taken, first, strict=True)])
        ratio, low, high = (exp(logs.mean + side * logs.margin) for side in (0, -1, 1))
        yield Comparison(subject, name, ratio, low, high, 1000 * median(taken) / per, 'ms', pairs)


def _processor_seconds(action):
    start = process_time()
    action()
    return process_time() - start


def _seconds_of_events(action):
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    action()
    stop.record()
    torch.cuda.synchronize()
    return start.elapsed_time(stop) / 1000


MEASURES = dict(cpu=_processor_seconds, cuda=_seconds_of_events)
