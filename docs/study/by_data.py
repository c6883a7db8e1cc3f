"""What the pool gains, by data set: ``python docs/study/by_data.py`` draws ``by_data.png``.

CI-CAM minus the same network without a pool, and minus branch 2 with the context of another class,
with the intervals of the tables: those of seeds for the drawn data, of seeds and test images
for birds. The context mass, which should fall, is known where there are masks.
"""
from pathlib import Path

from evidence import Cells, difference, read
from matplotlib.figure import Figure
from summarize import read as read_sweep

from cicam_mm.sweep.statistics import paired_difference

HERE = Path(__file__).parent
METRICS = {'Top-1 Cls': 'wsol/top1_cls', 'Top-1 Loc': 'wsol/top1_loc',
           'GT-known': 'wsol/gt_known_loc',
           'context mass': 'localization_errors/context_mass'}
COLOURS = {'none': 'C0', 'another class': 'C1'}


def of_sweep(sweep: str, options: str = '') -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and half the interval of own minus another cell, by cell and metric."""
    results = read_sweep(HERE / f'{sweep}.csv')[options]
    found = {}
    for name, cell in (('none', 'none'), ('another class', 'other')):
        for metric in METRICS if cell in results else ():
            if any(metric not in run for run in results[cell].values()):
                continue
            one = paired_difference(*({seed: run[metric] for seed, run in results[key].items()}
                                      for key in ('own', cell)))
            found.setdefault(name, {})[metric] = one.mean, one.margin
    return found


def of_study(cells: Cells, shared: bool) -> dict[str, dict[str, tuple[float, float]]]:
    """The same of a study on real images; another class is the one half the list away."""
    return {name: {metric: difference(cells['own'], cells[cell], key, shared)[:2]
                   for metric, key in METRICS.items()
                   if all(key in run for run in cells[cell].values())}
            for name, cell in (('none', 'none'), ('another class', 'far')) if cell in cells}


def main() -> None:
    birds, demo = read('birds'), read('demo')
    rows = {
        'shapes anywhere, rho 0': of_sweep('rho', 'rho=0'),
        'shapes anywhere, rho 0.8': of_sweep('controls'),
        'shapes anywhere, rho 0.95': of_sweep('rho', 'rho=0.95'),
        'shapes in the middle, rho 0.8': of_sweep('middle'),
        'whole image seen, rho 0.8': of_sweep('field'),
        'shapes, a place for each class': of_study(demo['placement by_class'], False),
        'birds, 10 classes': of_sweep('cub10'),
        'birds, 50 classes': of_study(read('cub50')['lr 1e-2'], True),
        **{f'birds on scenes, {options.partition(",")[0]}': of_study(cells, False)
           for options, cells in birds.items()}}
    figure = Figure(figsize=(13, 0.9 + 0.42 * len(rows)), layout='constrained')
    panels = figure.subplots(1, len(METRICS), sharey=True)
    for panel, metric in zip(panels, METRICS, strict=True):
        for place, found in enumerate(rows.values()):
            for shift, name in zip((-.15, .15), COLOURS, strict=True):
                if metric in found.get(name, ()):
                    mean, margin = found[name][metric]
                    panel.errorbar(mean, place + shift, xerr=margin, fmt='o', markersize=4,
                                   capsize=2, color=COLOURS[name])
        panel.axvline(0, color='0.3', linewidth=1)
        panel.set_title(f'{metric}, points', fontsize='medium')
        panel.grid(axis='x', color='0.9')
        panel.spines[['top', 'right', 'left']].set_visible(False)
    panels[0].set_yticks(range(len(rows)), rows)
    panels[0].set_ylim(len(rows) - .5, -.5)
    handles = [panels[0].errorbar([], [], xerr=[], fmt='o', color=colour, label=f'own - {name}')
               for name, colour in COLOURS.items()]
    figure.legend(handles=handles, loc='outside lower center', ncols=2, frameon=False)
    figure.savefig(HERE / 'by_data.png', dpi=100)


if __name__ == '__main__':
    main()
