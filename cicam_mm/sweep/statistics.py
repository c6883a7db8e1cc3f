"""Statistics over seeds, as numbers, CSV, Markdown and a figure."""
import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan, sqrt
from pathlib import Path
from statistics import mean, stdev

from matplotlib.figure import Figure
from scipy.stats import t as student

from cicam_mm.evaluation.protocol import warn_of_differences
from cicam_mm.utils.console import format_table
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import open_atomically, spreadsheet_cell, write_atomically

from .runs import Run, check_metrics, read_protocol, read_result

CONFIDENCE = 0.95

MEANS = 'Mean ± standard deviation over the seeds, in the units of the metrics.'
DIFFERENCES = 'Differences, paired by seed, with their 95 % intervals; * if one excludes zero.'

PANELS_IN_A_ROW = 4  # more make letters too small on a page

#: The field's names of metrics.
TITLES = {'top1_cls': 'Top-1 Cls', 'top5_cls': 'Top-5 Cls', 'top1_loc': 'Top-1 Loc',
          'top5_loc': 'Top-5 Loc', 'gt_known_loc': 'GT-known Loc', 'max_box_acc': 'MaxBoxAcc',
          'max_box_acc_v2': 'MaxBoxAccV2', 'pxap': 'PxAP'}

#: The metrics that a comparison shows by default.
USUAL = ('Top-1 Cls', 'Top-1 Loc', 'GT-known Loc', 'MaxBoxAcc', 'MaxBoxAccV2', 'PxAP')


@dataclass(frozen=True)
class Estimate:
    """A mean over runs with its uncertainty.

    ``deviation`` is the sample standard deviation, ``margin`` half the width of the 95 % interval
    of the mean, by Student's t; both are NaN for a single run.
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
    """The mean of one or more independent runs with its 95 % interval."""
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


def title_of(metric: str) -> str:
    """The field's name of a metric, or its own."""
    return TITLES.get(metric.removeprefix('wsol/'), metric)


def usual_metrics(known: Sequence[str]) -> list[str]:
    """Those of the metrics that the field compares; all if there are none of these."""
    return [name for name in known if title_of(name) in USUAL] or [*known]


def write_tables(runs: Sequence[Run], out: Path, metrics: Sequence[str] | None = None,
                 baseline: str | None = None, note: str = '') -> str:
    """Write ``sweep.csv``, ``sweep.md`` and ``sweep.png`` of the runs that are tested.

    ``metrics`` are by default those that the field compares; differences are to the cell
    ``baseline``; the ``note`` stands below the tables, which are returned as plain text.
    """
    rows = [(run, read_result(run.folder)) for run in runs if run.is_tested]
    if not rows:
        return 'No run is finished.'
    write_atomically(out / 'sweep.csv', as_csv(rows))
    known = [name for name in rows[0][1] if all(name in result for _, result in rows)]
    check_metrics(metrics, known)
    metrics, results = metrics or usual_metrics(known), collect(rows)
    tables = {MEANS: mean_table(results, metrics)}
    if len(results) > 1 and baseline in results:
        tables[DIFFERENCES] = difference_table(results, metrics, baseline)
    warning = warn_of_differences([read_protocol(run.folder) for run, _ in rows])
    notes = [text for text in (note, warning) if text]
    write_atomically(out / 'sweep.md', '\n'.join([
        *(f'{title}\n\n{as_markdown(table)}' for title, table in tables.items()),
        *(f'{text}\n' for text in notes)]))
    figure = draw_sweep({
        title_of(name): {cell: values(of_seeds, name) for cell, of_seeds in results.items()}
        for name in metrics})
    with open_atomically(out / 'sweep.png', 'wb') as file:
        figure.savefig(file, format='png', dpi=120)
    return ''.join(f'\n{part}\n' for part in [*map(format_table, tables.values()), *notes])


def as_csv(rows: Sequence[tuple[Run, Mapping[str, float]]]) -> str:
    """All runs as CSV: method, options, seed, metrics and folder, one line per run."""
    lines = [{'method': run.method, **run.options, 'seed': run.seed, **metrics,
              'folder': run.folder.as_posix()} for run, metrics in rows]
    names = [*dict.fromkeys(name for line in lines for name in line if name != 'folder'), 'folder']
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    for cells in (names, *([line.get(name, '') for name in names] for line in lines)):
        writer.writerow(map(spreadsheet_cell, cells))
    return text.getvalue()


def mean_table(results: Results, metrics: Sequence[str]) -> list[list[str]]:
    """Mean and standard deviation over the seeds, one row per cell."""
    table = [['', 'runs', *map(title_of, metrics)]]
    for cell, runs in results.items():
        estimates = [estimate(values(runs, name)) for name in metrics]
        table.append([cell, str(len(runs)), *map(_with_deviation, estimates)])
    return table


def difference_table(results: Results, metrics: Sequence[str], baseline: str) -> list[list[str]]:
    """Paired differences to a baseline with their 95 % intervals, one row per other cell.

    Intervals that exclude zero are marked with ``*``; a single pair has no interval.
    """
    table = [[f'minus {baseline}', 'pairs', *map(title_of, metrics)]]
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


def draw_sweep(values: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw every run as a dot, and each cell's mean with its 95 % interval; a panel per metric.

    All metrics have the same cells.
    """
    cells = list(next(iter(values.values())))
    rows = math.ceil(len(values) / PANELS_IN_A_ROW)
    columns = math.ceil(len(values) / rows)
    figure = Figure(figsize=(1.6 + 2.6 * columns, rows * (0.9 + 0.34 * len(cells))),
                    layout='constrained')
    panels = [*figure.subplots(rows, columns, sharey=True, squeeze=False).flat]
    for panel, (metric, of_cells) in zip(panels, values.items(), strict=False):
        for place, cell in enumerate(cells):
            runs = of_cells[cell]
            result = estimate(runs)
            panel.plot(runs, [place] * len(runs), 'o', color='0.6', markersize=3, zorder=1)
            panel.errorbar(result.mean, place, xerr=[[result.margin], [result.margin]], fmt='D',
                           color='C0', markersize=5, capsize=3, zorder=2)
        panel.set_title(metric, fontsize='medium')
        panel.grid(axis='x', color='0.9')
        panel.spines[['top', 'right', 'left']].set_visible(False)
    panels[0].set_yticks(range(len(cells)), cells)
    panels[0].set_ylim(len(cells) - 0.5, -0.5)  # the first cell on top, and no marker cut off
    for panel in panels[len(values):]:
        panel.remove()
    return figure
