"""Tables of docs/evidence.md: ``python docs/study/evidence.py cub50`` or ``birds``.

Differences are paired by seed. Their 95 % interval covers the seed and the test images: by
Student's t, with the variance over seeds plus, where all seeds share their test images (cub50),
that over images of the mean over seeds; degrees of freedom are Welch's for the sum. A star is for
a p below 0.05 after Holm's correction for all comparisons of its table.
"""
import argparse
import csv
from collections import defaultdict
from math import sqrt
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from cicam_mm.sweep.statistics import as_markdown

HERE = Path(__file__).parent
NAMES = dict(top1_cls='Top-1 Cls', top1_loc='Top-1 Loc', gt_known_loc='GT-known',
             pxap='PxAP', context_mass='context mass')
BOXES = 'fixed box', 'centre box', 'whole image'
MAPS = {'pxap': 'pxap', 'context_mass': 'localization_errors/context_mass'}


def read(name: str) -> dict[str, dict[str, dict[int, dict[str, np.ndarray]]]]:
    """Values in percent by options, cell, seed and metric: one for each image, or one for all."""
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for file in f'real_{name}_images.csv', f'real_{name}.csv':
        for row in csv.DictReader((HERE / file).open(newline='')):
            run = found[row.get('rho', '')][row['method']][int(row['seed'])]
            for key in NAMES:
                if set(row.get(key, 'x')) <= {'0', '1'}:
                    run[key] = 100. * np.array([*row[key]], float)
                elif row.get(MAPS.get(key)):
                    run[key] = np.array([float(row[MAPS[key]])])
    return found


def difference(one: dict, other: dict, key: str, shared: bool) -> tuple[float, float, float]:
    """Mean, half the interval, and p of a paired difference."""
    seeds = sorted(one.keys() & other.keys())
    values = [one[seed][key] - other[seed][key] for seed in seeds]
    means = np.array([value.mean() for value in values])
    if len(seeds) < 2:
        return means.mean(), np.nan, 1.
    samples = [means, *([np.mean(values, axis=0)] if shared and values[0].size > 1 else [])]
    variances = [sample.var(ddof=1) / sample.size for sample in samples]
    error = sqrt(sum(variances))
    if not error:
        return means.mean(), 0., float(means.mean() == 0)
    freedom = error**4 / sum(variance**2 / (sample.size - 1)
                             for variance, sample in zip(variances, samples, strict=True))
    return (means.mean(), student.ppf(0.975, freedom) * error,
            2 * student.sf(abs(means.mean()) / error, freedom))


def holm(values: list[float]) -> list[bool]:
    """Which p are below 0.05 after Holm's correction."""
    order = np.argsort(values)
    found = [False] * len(values)
    for rank, index in enumerate(order):
        if values[index] * (len(values) - rank) >= 0.05:
            break
        found[index] = True
    return found


def mean_table(cells: dict, metrics: list[str]) -> list[list[str]]:
    table = [['', 'runs', *(NAMES[key] for key in metrics)]]
    for cell, runs in cells.items():
        texts = []
        for key in metrics:
            means = [run[key].mean() for run in runs.values() if key in run]
            spread = f' ± {np.std(means, ddof=1):.2f}' if len(means) > 1 else ''
            texts.append(f'{np.mean(means):.2f}{spread}' if means else '')
        table.append([cell, str(len(runs)), *texts])
    return table


def difference_table(cells: dict, metrics: list[str], base: str, shared: bool) -> list[list[str]]:
    others = [cell for cell in cells if cell != base and (base == 'none' or cell not in BOXES)]
    results = {(cell, key): difference(cells[cell], cells[base], key, shared)
               for cell in others for key in metrics
               if all(key in run for run in cells[cell].values())}
    stars = dict(zip(results, holm([p for *_, p in results.values()]), strict=True))
    table = [[f'minus {base}', *(NAMES[key] for key in metrics)]]
    for cell in others:
        texts = []
        for key in metrics:
            if (cell, key) not in results:
                texts.append('')
                continue
            mean, margin, _ = results[cell, key]
            star = ' *' * stars[cell, key]
            texts.append(f'{mean:+.2f} [{mean - margin:+.2f}, {mean + margin:+.2f}]{star}')
        table.append([cell, *texts])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('name', choices=['cub50', 'birds'])
    parser.add_argument('--baselines', nargs='+', default=['none', 'own'])
    args = parser.parse_args()
    for rho, cells in read(args.name).items():
        cells = {cell: cells[cell] for cell in sorted(cells, key=lambda cell: cell in BOXES)}
        first = next(iter(next(iter(cells.values())).values()))
        metrics = [key for key in NAMES if key in first]
        print(f'\n{f"rho {rho}" if rho else args.name}\n')
        print(as_markdown(mean_table(cells, metrics)))
        for base in args.baselines:
            print(as_markdown(difference_table(cells, metrics, base, args.name == 'cub50')))


if __name__ == '__main__':
    main()
