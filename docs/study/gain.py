"""What controls gain over none, against rho, placement and receptive field.

``python docs/study/gain.py`` reads ``controls.csv``, ``rho.csv``, ``middle.csv`` and ``field.csv``
of this folder, or of one that is named, and draws ``gain_rho.png``, ``gain_placement.png`` and
``gain_field.png`` there: mean differences, paired by seed, with their 95 % intervals. Prints how
much the gains grow from one rho to another.
"""
import sys
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from pathlib import Path

from matplotlib.figure import Figure
from summarize import read

from cicam_mm.sweep.statistics import (
    Results,
    as_markdown,
    estimate,
    paired_difference,
    with_interval,
)

METRICS = 'Top-1 Cls', 'Top-1 Loc', 'GT-known'


def gains(results: Results, control: str, metric: str) -> dict[int, float]:
    """The differences of a control to none, by seed."""
    return {seed: run[metric] - results['none'][seed][metric]
            for seed, run in results[control].items() if seed in results['none']}


def growth(of_rho: Mapping[float, Results], controls: Sequence[str]) -> list[list[str]]:
    """A table of how much the gains grow between two rho."""
    table = [['', 'from', 'to', *METRICS]]
    for control, (low, high) in product(controls, combinations(of_rho, 2)):
        found = [paired_difference(*(gains(of_rho[rho], control, metric) for rho in (high, low)))
                 for metric in METRICS]
        table.append([control, f'{low:g}', f'{high:g}', *map(with_interval, found)])
    return table


def draw_gain(of_places: Mapping[float, Results], controls: Sequence[str],
              ticks: Sequence[str], label: str, line: str = 'none') -> Figure:
    """A panel per metric, a colour per control; ``of_places`` has the results of each x."""
    figure = Figure(figsize=(10, 3.4), layout='constrained')
    panels = figure.subplots(1, len(METRICS))
    spread = 0.08 if line == '-' else 0.4
    shift = spread / len(controls) * (max(of_places) - min(of_places))
    for panel, metric in zip(panels, METRICS, strict=True):
        for number, control in enumerate(controls):
            found = {place: estimate([*gains(results, control, metric).values()])
                     for place, results in of_places.items()}
            panel.errorbar(
                [place + shift * (number - (len(controls) - 1) / 2) for place in found],
                [one.mean for one in found.values()], [one.margin for one in found.values()],
                marker='o', markersize=4, capsize=2, linewidth=1, linestyle=line, label=control)
        panel.axhline(0, color='0.3', linewidth=1.2, zorder=1)
        panel.set_xticks(list(of_places), ticks)
        panel.set(title=f'{metric} - none', xlabel=label)
        panel.grid(axis='y', color='0.9')
        panel.spines[['top', 'right']].set_visible(False)
    panels[0].legend(frameon=False, fontsize='small')
    return figure


def main(folder: Path) -> None:
    anywhere = read(folder / 'controls.csv')['']
    of_rho = {float(options.partition('=')[2]): results
              for options, results in read(folder / 'rho.csv').items()}
    of_rho = dict(sorted({**of_rho, 0.8: anywhere}.items()))
    controls = 'own', 'mean', 'zeros'
    print(as_markdown(growth(of_rho, controls)))
    draw_gain(of_rho, controls, [f'{rho:g}' for rho in of_rho],
              'rho of the training images', '-').savefig(folder / 'gain_rho.png', dpi=100)
    for name, sweep, ticks, label in (
            ('placement', 'middle', ['anywhere', 'middle'], 'objects'),
            ('field', 'field', ['26 px', 'whole image'], 'receptive field')):
        draw_gain({0: anywhere, 1: read(folder / f'{sweep}.csv')['']},
                  ('own', 'other', 'mean', 'bump', 'zeros'), ticks, label).savefig(
                      folder / f'gain_{name}.png', dpi=100)


if __name__ == '__main__':
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent)
