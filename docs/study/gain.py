"""How much the gain over none grows with rho: ``python docs/study/gain.py``.

Reads ``controls.csv`` and ``rho.csv`` of this folder, or of one that is named, and prints the
growth of the differences, paired by seed, with 95 % intervals.
"""
import sys
from itertools import combinations, product
from pathlib import Path

from summarize import read

from cicam_mm.sweep.statistics import Results, as_markdown, paired_difference, with_interval

CONTROLS = 'own', 'mean', 'zeros'
METRICS = 'Top-1 Cls', 'Top-1 Loc', 'GT-known'


def gains(results: Results, control: str, metric: str) -> dict[int, float]:
    """The differences of a control to none, by seed."""
    return {seed: run[metric] - results['none'][seed][metric]
            for seed, run in results[control].items() if seed in results['none']}


def main(folder: Path) -> None:
    of_rho = {float(options.partition('=')[2]): results
              for options, results in read(folder / 'rho.csv').items()}
    of_rho[0.8] = read(folder / 'controls.csv')['']
    table = [['', 'from', 'to', *METRICS]]
    for control, (low, high) in product(CONTROLS, combinations(sorted(of_rho), 2)):
        found = [paired_difference(*(gains(of_rho[rho], control, metric) for rho in (high, low)))
                 for metric in METRICS]
        table.append([control, f'{low:g}', f'{high:g}', *map(with_interval, found)])
    print(as_markdown(table))


if __name__ == '__main__':
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent)
