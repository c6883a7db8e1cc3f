"""Plotting the results of a sweep."""
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from cicam_mm.sweep.statistics import estimate


def draw_sweep(values: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw every run as a dot, and each cell's mean with its 95 % interval; a panel per metric.

    Args:
        values (Mapping): Values of the runs, by metric and cell; all metrics have the same cells.

    Returns:
        Figure: The figure; save it with ``savefig``.
    """
    cells = list(next(iter(values.values())))
    figure = Figure(figsize=(1.6 + 2.6 * len(values), 0.9 + 0.34 * len(cells)),
                    layout='constrained')
    panels = figure.subplots(1, len(values), sharey=True, squeeze=False)[0]
    for panel, (metric, of_cells) in zip(panels, values.items(), strict=True):
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
    return figure
