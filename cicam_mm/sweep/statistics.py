"""What several seeds say about a method, and about two of them."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from statistics import mean, stdev

from scipy.stats import t as student

from cicam_mm.errors import UserError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over runs and how sure it is.

    Attributes:
        mean: Of the runs.
        deviation: Standard deviation of a sample; NaN for a single run.
        margin: Half the width of the 95 % interval of the mean, by Student's t; NaN for a
            single run.
        runs: How many there are.
    """
    mean: float
    deviation: float
    margin: float
    runs: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves zero out: for differences, whether there is one."""
        return abs(self.mean) > self.margin  # not so where the margin is NaN


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of independent runs with its 95 % interval.

    Args:
        values (Sequence[float]): One for each run, at least one.
    """
    count = len(values)
    if count == 1:
        return Estimate(values[0], nan, nan, 1)
    deviation = stdev(values)
    quantile = student.ppf((1 + CONFIDENCE) / 2, count - 1)
    return Estimate(mean(values), deviation, float(quantile) * deviation / sqrt(count), count)


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Estimate:
    """How much better than a baseline, over the seeds that both have.

    Runs of one seed share the order of the data, so the spread of their differences counts, which
    is often smaller than that of the runs.

    Args:
        values (Mapping[int, float]): Value of each seed.
        baseline (Mapping[int, float]): The same of the baseline.

    Raises:
        ValueError: If no seed is in both.
    """
    shared = sorted(values.keys() & baseline.keys())
    if not shared:
        raise UserError('no seed has both a run and one of the baseline.')
    return estimate([values[seed] - baseline[seed] for seed in shared])
