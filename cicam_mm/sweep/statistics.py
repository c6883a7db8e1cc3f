"""Statistics over the seeds of one method, and of two methods."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from statistics import mean, stdev

from scipy.stats import t as student

from cicam_mm.errors import UserError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over runs with its uncertainty.

    Attributes:
        mean: Mean of the runs.
        deviation: Sample standard deviation; NaN for a single run.
        margin: Half the width of the 95 % confidence interval of the mean, by Student's t; NaN
            for a single run.
        runs: Number of runs.
    """
    mean: float
    deviation: float
    margin: float
    runs: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero: for differences, whether there is one."""
        return abs(self.mean) > self.margin  # False if the margin is NaN


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of independent runs with its 95 % interval.

    Args:
        values (Sequence[float]): One value per run, at least one.
    """
    count = len(values)
    if count == 1:
        return Estimate(values[0], nan, nan, 1)
    deviation = stdev(values)
    quantile = student.ppf((1 + CONFIDENCE) / 2, count - 1)
    return Estimate(mean(values), deviation, float(quantile) * deviation / sqrt(count), count)


def paired_difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Estimate:
    """The mean difference to a baseline, over the seeds that both have.

    Runs with the same seed share the order of the data, so their differences often vary less than
    the runs themselves.

    Args:
        values (Mapping[int, float]): Value of each seed.
        baseline (Mapping[int, float]): Values of the baseline.

    Raises:
        ValueError: If they have no seed in common.
    """
    shared = sorted(values.keys() & baseline.keys())
    if not shared:
        raise UserError('the runs and those of the baseline have no seed in common.')
    return estimate([values[seed] - baseline[seed] for seed in shared])
