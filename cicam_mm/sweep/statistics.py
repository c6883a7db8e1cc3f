"""Statistics over seeds, as numbers, CSV and Markdown."""
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan, sqrt
from statistics import mean, stdev

from scipy.stats import t as student

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import spreadsheet_cell

from .runs import Run

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


#: Metrics by cell and seed.
Results = Mapping[str, Mapping[int, Mapping[str, float]]]


def collect(rows: Sequence[tuple[Run, Mapping[str, float]]]) -> Results:
    """Group metrics by cell and seed."""
    results = {}
    for run, metrics in rows:
        results.setdefault(run.cell, {})[run.seed] = metrics
    return results


def as_csv(rows: Sequence[tuple[Run, Mapping[str, float]]]) -> str:
    """All runs as CSV: method, options, seed, metrics and folder, one line per run."""
    lines = [{'method': run.method, **run.options, 'seed': run.seed, **metrics,
              'folder': run.folder.as_posix()} for run, metrics in rows]
    names = list(dict.fromkeys(name for line in lines for name in line if name != 'folder'))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    for cells in ([*names, 'folder'],
                  *([line.get(name, '') for name in [*names, 'folder']] for line in lines)):
        writer.writerow(map(spreadsheet_cell, cells))
    return text.getvalue()


def mean_table(results: Results, metrics: Sequence[str]) -> list[list[str]]:
    """Mean and standard deviation over the seeds, one row per cell."""
    table = [['', 'runs', *metrics]]
    for cell, runs in results.items():
        estimates = [estimate(values(runs, name)) for name in metrics]
        table.append([cell, str(len(runs)), *map(_with_deviation, estimates)])
    return table


def difference_table(results: Results, metrics: Sequence[str], baseline: str) -> list[list[str]]:
    """Paired differences to a baseline with their 95 % intervals, one row per other cell.

    Intervals that exclude zero are marked with ``*``; a single pair has no interval.
    """
    table = [[f'minus {baseline}', 'pairs', *metrics]]
    for cell, runs in results.items():
        pairs = runs.keys() & results[baseline].keys()
        if cell != baseline and pairs:
            table.append([cell, str(len(pairs)), *(
                with_interval(paired_difference(
                    *({seed: one[name] for seed, one in which.items()}
                      for which in (runs, results[baseline])))) for name in metrics)])
    return table


def values(runs: Mapping[int, Mapping[str, float]], name: str) -> list[float]:
    """The values of a metric for all seeds."""
    return [metrics[name] for metrics in runs.values()]


def as_markdown(table: Sequence[Sequence[str]]) -> str:
    """Format a table in Markdown; the first row is the header."""
    return ''.join(f'| {" | ".join(cells)} |\n'
                   for cells in (table[0], ['---'] * len(table[0]), *table[1:]))


def with_interval(result: Estimate) -> str:
    """A difference with its interval, if there is one, and ``*`` if that excludes zero."""
    if isnan(result.margin):
        return f'{result.mean:+.2f}'
    low, high = result.mean - result.margin, result.mean + result.margin
    return f'{result.mean:+.2f} [{low:+.2f}, {high:+.2f}]' + ' *' * result.is_clear


def _with_deviation(result: Estimate) -> str:
    return f'{result.mean:.2f}' + ('' if isnan(result.deviation) else f' ± {result.deviation:.2f}')
