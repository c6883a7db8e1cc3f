"""Plotting the results of a sweep."""
import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from cicam_mm.sweep.statistics import estimate

PANELS_IN_A_ROW = 4  # more make letters too small on a page


def draw_sweep(values: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw every run as a dot, and each cell's mean with its 95 % interval; a panel per metric.

    Args:
        values (Mapping): Values of the runs, by metric and cell; all metrics have the same cells.

    Returns:
        Figure: The figure; save it with ``savefig``.
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
    panels[0].invert_yaxis()
    for panel in panels[len(values):]:
        panel.remove()
    return figure
