"""Plotting the results of a sweep."""
import math
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure

from cicam_mm.localization.map_rules import MAP_RULES
from cicam_mm.sweep.statistics import estimate

#: Okabe and Ito's palette, which suits most colour vision deficiencies.
COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')



def rule_colors(rules: Iterable[str]) -> dict[str, str]:
    """A colour for each map rule, the same in every picture for the rules of this package."""
    known = [*dict.fromkeys([*MAP_RULES.module_dict, *rules])]
    return {rule: COLORS[known.index(rule) % len(COLORS)] for rule in rules}


def draw_theta_curves(curves: Mapping[str, Mapping[str, Sequence[float]]],
                      thetas: Sequence[float],
                      best: tuple[str, float],
                      caption: str) -> Figure:
    """Draw localization against theta, a line for each map rule, like the paper's Figure 4.

    A rule has the same colour in every figure.

    Args:
        curves (Mapping): For each panel's title and each map rule, the percentage at each theta.
        thetas (Sequence[float]): Thetas in ascending order, shape (T, ).
        best (tuple): Map rule and theta to mark in every panel.
        caption (str): One line below the panels.

    Returns:
        Figure: The figure; save it with ``savefig``.
    """
    figure = Figure(figsize=(3.6 * len(curves), 3.6), layout='constrained')
    panels, (rule, theta) = figure.subplots(1, len(curves), squeeze=False)[0], best
    for axes, (title, lines) in zip(panels, curves.items(), strict=True):
        colors = rule_colors(lines)
        for name, values in lines.items():
            axes.plot(thetas, values, color=colors[name], label=name)
        axes.plot(theta, lines[rule][thetas.index(theta)], 'k*', markersize=11,
                  label=f'best: {rule}, {theta:g}')
        axes.set(title=title, xlabel=r'threshold $\theta$', ylabel='%')
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc='outside upper center', fontsize='small',
                  ncols=len(lines) + 1, frameon=False)
    figure.supxlabel(caption, fontsize='small')
    return figure


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
