"""Charts as SVG text, drawn with matplotlib."""
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO

from matplotlib import rc_context
from matplotlib.figure import Figure

from cicam_mm.visualization.theta_curve import COLORS

PART_COLORS = ('#999999', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#d55e00')
DASHES = ('-', '--', '-.', ':')


def line_chart(lines: Mapping[str, tuple[Sequence, Sequence]], x_label: str, title: str) -> str:
    """A line chart.

    Args:
        lines (Mapping): x and y values by name. Use the same names in every chart of a page, so
            that each keeps its colour; lines without values are left out.
        x_label (str): Quantity and unit of the x axis.
        title (str): Quantity and unit of the y axis.

    Returns:
        str: The SVG.
    """
    figure, axes = _canvas(title)
    for i, (name, (x, y)) in enumerate(lines.items()):
        if not len(x):
            continue
        axes.plot(x, y, label=name, color=COLORS[i % len(COLORS)],
                  linestyle=DASHES[i % len(DASHES)],  # lines that coincide stay visible
                  marker='.' if len(x) < 30 else None)
    axes.set_xlabel(x_label)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(fontsize=8, framealpha=0.6)
    return _svg(figure)


def share_chart(bars: Mapping[str, Mapping[str, float]], title: str) -> str:
    """A stacked bar chart with one horizontal bar per name.

    Args:
        bars (Mapping): For each name, the percentage of each part; the parts are the same for
            all names.
        title (str): Description of the parts.

    Returns:
        str: The SVG.
    """
    figure, axes = _canvas(title, height=1.6 + 0.42 * len(bars))
    names, starts = list(bars), [0.] * len(bars)
    for i, part in enumerate(next(iter(bars.values()))):
        values = [bars[name][part] for name in names]
        axes.barh(names, values, left=starts, label=part.replace('_', ' '), height=0.6,
                  color=PART_COLORS[i % len(PART_COLORS)], edgecolor='white')
        for y, (start, value) in enumerate(zip(starts, values, strict=True)):
            if value >= 6:
                axes.text(start + value / 2, y, f'{value:.0f}', ha='center', va='center',
                          color='white', fontsize=8)
        starts = [start + value for start, value in zip(starts, values, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel('percent of the images')
    figure.legend(loc='outside lower center', ncols=3, fontsize=8, frameon=False)
    return _svg(figure)


def scalar_lines(entries: Iterable[dict], key: str, x_key: str) -> tuple[list, list]:
    """The x and y values of a logged quantity, from the entries that have both."""
    points = [(entry[x_key], entry[key]) for entry in entries if key in entry and x_key in entry]
    return [x for x, _ in points], [y for _, y in points]


def _canvas(title, height=3.):
    figure = Figure(figsize=(4.8, height), layout='constrained')
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.spines[['top', 'right']].set_visible(False)
    return figure, axes


def _svg(figure):
    # without date and random ids, equal runs give equal reports
    with rc_context({'svg.hashsalt': 'cicam_mm'}), StringIO() as text:
        figure.savefig(text, format='svg', metadata={'Date': None})
        return text.getvalue()
