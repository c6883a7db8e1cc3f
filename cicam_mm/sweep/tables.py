"""The results of a sweep as CSV and Markdown."""
import csv
import io
from collections.abc import Mapping, Sequence
from math import isnan

from cicam_mm.spreadsheets import spreadsheet_cell

from .plan import Run
from .statistics import Estimate, estimate, paired_difference

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
