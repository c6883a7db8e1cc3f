from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

#: Okabe and Ito's palette, which nearly everybody can tell apart.
COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')


def draw_theta_curves(curves: Mapping[str, Mapping[str, Sequence[float]]],
                      thetas: Sequence[float],
                      best: tuple[str, float],
                      caption: str) -> Figure:
    """Localization against theta, a line for each map rule: the paper's Figure 4.

    Args:
        curves (Mapping): Title of a panel -> map rule -> percentage at each theta.
        thetas (Sequence[float]): Ascending, shape (T, ).
        best (tuple): Map rule and theta that are marked in every panel.
        caption (str): One line below the panels.

    Returns:
        Figure: To be saved with its ``savefig``.
    """
    figure = Figure(figsize=(3.6 * len(curves), 3.6), layout='constrained')
    panels, (rule, theta) = figure.subplots(1, len(curves), squeeze=False)[0], best
    for axes, (title, lines) in zip(panels, curves.items(), strict=True):
        for color, (name, values) in zip(COLORS, lines.items(), strict=False):
            axes.plot(thetas, values, color=color, label=name)
        axes.plot(theta, lines[rule][thetas.index(theta)], 'k*', markersize=11,
                  label=f'best: {rule}, {theta:g}')
        axes.set(title=title, xlabel=r'threshold $\theta$', ylabel='%')
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc='outside upper center', fontsize='small',
                  ncols=len(lines) + 1, frameon=False)
    figure.supxlabel(caption, fontsize='small')
    return figure
