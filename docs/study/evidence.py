"""Tables of docs/evidence.md: ``python docs/study/evidence.py cub50|birds|methods|glas|demo``.

Differences are paired by seed. Their 95 % interval covers the seed and the test images: by
Student's t, with the variance over seeds plus, where all seeds share their test images (cub50,
methods), that over images of the mean over seeds; degrees of freedom are Welch's for the sum. A
star is for a p below 0.05 after Holm's correction for all comparisons of its table. With
methods and glas the learning rate counts that is best for a method on held-out images.
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
NAMES = {'accuracy/top1': 'Accuracy', 'wsol/top1_cls': 'Top-1 Cls', 'wsol/top1_loc': 'Top-1 Loc',
         'wsol/gt_known_loc': 'GT-known', 'max_box_acc_v2': 'MaxBoxAccV2', 'pxap': 'PxAP',
         'localization_errors/context_mass': 'context mass'}
BOXES = 'fixed box', 'centre box', 'whole image'
ORDER = 'none', 'own', 'far', 'mean', 'zeros', 'other', 'shared', 'CAM', 'NL-CCAM', 'CI-CAM'
#: What learning rates are chosen by, whichever a study has.
HELD_OUT = 'val/top1_loc', 'val/pxap'
SHARED_TEST = 'cub50', 'methods'
TUNED = 'methods', 'glas'
#: Tables against these have the boxes as well.
FIRST = 'none', 'CAM'
BASELINES = dict(methods=['CAM', 'NL-CCAM'], glas=['CAM'])

#: Values in percent by cell, seed and metric: one for each image, or one for all.
Cells = dict[str, dict[int, dict[str, np.ndarray]]]


def read(name: str) -> dict[str, Cells]:
    """The runs by their options; those with the learning rates that are best for each method."""
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(dict))))
    for file in HERE / f'real_{name}_images.csv', HERE / f'real_{name}.csv':
        for row in csv.DictReader(file.open(newline='')) if file.is_file() else ():
            names = [*row]
            options = {key: row[key] for key in names[1:names.index('seed')]}
            rate = options.pop('lr', '') if name in TUNED else ''
            text = ', '.join(f'{key} {value}' for key, value in options.items())
            run = found[text][row['method']][rate][int(row['seed'])]
            for key in [*NAMES, *HELD_OUT]:
                value = row.get(key, row.get(key.removeprefix('wsol/'), ''))
                if len(value) > 20 and set(value) <= {'0', '1'}:
                    run[key] = hits(value)
                elif value:
                    run.setdefault(key, np.array([float(value)]))
    return {text: choose(cells) for text, cells in found.items()}


def hits(text: str) -> np.ndarray:
    """Percent of each image, from a 0 or 1 for each."""
    return 100. * np.array([*text], float)


def choose(cells: dict[str, dict[str, dict[int, dict]]]) -> Cells:
    """The runs with the best of several learning rates, by seed 0; boxes have the class of CAM."""
    best = {}
    for method, of_rates in cells.items():
        held_out = {rate: float(runs[0][key][0]) for rate, runs in of_rates.items()
                    for key in HELD_OUT if key in runs.get(0, {})}
        best[method] = max(held_out, key=held_out.get, default=next(iter(of_rates)))
        if len(held_out) > 1:
            print(f'{method}: {best[method]} of',
                  *(f'{rate} {value:.1f};' for rate, value in held_out.items()))
    return {method: of_rates[best.get('CAM' if method in BOXES else method, best[method])]
            for method, of_rates in cells.items()}


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


def bootstrap(one: dict, other: dict, key: str, draws: int = 4000) -> np.ndarray:
    """The ends of the interval when seeds and shared test images are drawn with replacement."""
    rng = np.random.default_rng(0)
    values = np.stack([one[seed][key] - other[seed][key] for seed in one.keys() & other.keys()])
    means = [values[np.ix_(*(rng.integers(size, size=size) for size in values.shape))].mean()
             for _ in range(draws)]
    return np.percentile(means, [2.5, 97.5])


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


def difference_table(cells: dict, metrics: list[str], base: str, shared: bool,
                     by_bootstrap: bool) -> list[list[str]]:
    others = [cell for cell in cells if cell != base and (base in FIRST or cell not in BOXES)]
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
            ends = mean - margin, mean + margin
            if by_bootstrap:
                ends = bootstrap(cells[cell], cells[base], key)
            interval = '' if np.isnan(margin) else ' [{:+.2f}, {:+.2f}]'.format(*ends)
            texts.append(f'{mean:+.2f}{interval}{star}')
        table.append([cell, *texts])
    return table


def place(item: tuple[str, dict]) -> tuple[int, str]:
    """The place of a row: cells first, then other methods, then boxes."""
    cell = item[0]
    ranks = {name: rank for rank, name in enumerate((*ORDER, 'another method', *BOXES))}
    return ranks.get(cell, len(ORDER)), cell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('name', choices=['cub50', 'birds', 'methods', 'glas', 'demo'])
    parser.add_argument('--baselines', nargs='+')
    parser.add_argument('--bootstrap', action='store_true',
                        help='intervals by drawing seeds and images of cub50 or methods')
    args = parser.parse_args()
    for options, cells in read(args.name).items():
        cells = dict(sorted(cells.items(), key=place))
        first = next(iter(next(iter(cells.values())).values()))
        metrics = [key for key in NAMES if key in first]
        print(f'\n{options or args.name}\n')
        print(as_markdown(mean_table(cells, metrics)))
        for base in args.baselines or BASELINES.get(args.name, ['none', 'own']):
            print(as_markdown(difference_table(
                cells, metrics, base, args.name in SHARED_TEST, args.bootstrap)))


if __name__ == '__main__':
    main()
