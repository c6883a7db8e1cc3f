"""Localization against theta, and the colours of lines."""
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from cicam_mm.localization.map_rules import MAP_RULES

#: Okabe and Ito's palette, which suits most colour vision deficiencies, then two of Tol's.
COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#882255', '#999933')


def draw_theta_curves(curves: Mapping[str, Mapping[str, Sequence[float]]],
                      thetas: Sequence[float], best: tuple[str, float], caption: str) -> Figure:
    """Draw localization against theta, a line for each map rule, like the paper's Figure 4.

    By panel's title and map rule, ``curves`` has the percentage at each of the ascending thetas.
    Every panel marks the map rule and theta of ``best``. A rule of this package has the same
    colour in every picture.
    """
    figure = Figure(figsize=(3.6 * len(curves), 3.6), layout='constrained')
    panels, (rule, theta) = figure.subplots(1, len(curves), squeeze=False)[0], best
    for axes, (title, lines) in zip(panels, curves.items(), strict=True):
        known = [*dict.fromkeys([*MAP_RULES.module_dict, *lines])]
        for name, values in lines.items():
            axes.plot(thetas, values, color=COLORS[known.index(name) % len(COLORS)], label=name)
        axes.plot(theta, lines[rule][thetas.index(theta)], 'k*', markersize=11,
                  label=f'best: {rule}, {theta:g}')
        axes.set(title=title, xlabel=r'threshold $\theta$', ylabel='%')
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc='outside upper center', fontsize='small',
                  ncols=len(lines) + 1, frameon=False)
    figure.supxlabel(caption, fontsize='small')
    return figure
