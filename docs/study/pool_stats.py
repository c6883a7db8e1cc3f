"""Statistics of context pools: ``python docs/study/pool_stats.py CHECKPOINT...``.

Takes checkpoints of this project and pool files of the 2021 release, and runs nothing in them.
Prints how similar the rows are, of how many maps they consist and whether they are a bump in the
middle; with ``--config`` also how well they localize and resemble the objects of its test set.
Writes these numbers to pool_stats.csv, and a figure of each pool.
"""
import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import cicam_mm  # noqa: F401  checks the stack before it is imported

# isort: split
import numpy as np
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, TASK_UTILS
from mmpretrain.utils import track
from pool_rows import correlations, describe_rows, judge_rows, singular_energies

from cicam_mm.checkpoints.release import read_pools
from cicam_mm.utils.console import format_table
from cicam_mm.utils.errors import UserError
from cicam_mm.visualization import class_name

NUM_ROWS = 6
NUM_VECTORS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('checkpoints', nargs='+', metavar='CHECKPOINT')
    parser.add_argument(
        '--config', help='judge the rows by the test set and the localizer of this config')
    parser.add_argument('--out', type=Path, default=Path('pool_stats'), metavar='DIR')
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    pools = {}
    for path in args.checkpoints:
        found = read_pools(path)
        if not found:
            raise UserError(f'{path} holds no context pool; use the checkpoint of a model that '
                            'has one, or a pool file of the release.')
        pools |= {label(path, name): pool for name, pool in found.items()}
    dataset, localizer = build(Config.fromfile(args.config)) if args.config else (None, None)
    classes = dataset and dataset.metainfo.get('classes')
    statistics = {}
    for number, (name, pool) in enumerate(pools.items()):
        statistics[name] = describe_rows(pool.numpy())
        if dataset is not None:
            check_classes(name, pool, classes, args.config)
            samples = (dataset[i]['data_samples'] for i in range(len(dataset)))
            statistics[name] |= judge_rows(
                pool, track(samples, name, len(dataset)), localizer)
        names = [class_name(k, classes) for k in range(len(pool))]
        path = args.out / f'pool_{number}.png'
        draw_pool_figure(pool.numpy(), names, name).savefig(path, dpi=120)
        print(f'Wrote {path}: {name}')
    write(statistics, args.out / 'pool_stats.csv')


def build(cfg: Config) -> tuple:
    """Build the test set and the localizer of a config."""
    localizer = cfg.model.head.get('localizer')
    if localizer is None:
        raise UserError('the head of the config has no localizer; set model.head.localizer')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return (DATASETS.build(cfg.test_dataloader.dataset), TASK_UTILS.build(
            localizer, default_args=dict(type='CombinationalLocalizer')))


def check_classes(name, pool, classes, config):
    if classes is not None and len(classes) != len(pool):
        raise UserError(f'the context pool of {name} has {len(pool)} classes but the test set of '
                        f'{config} has {len(classes)}; give the config it was trained with')


def label(path: str, name: str) -> str:
    """Name of the file, and of the pool in it unless that is the usual one."""
    return path if name in ('', 'head.pool.pool') else f'{path}: {name}'


def write(statistics: dict[str, dict[str, float]], path: Path) -> None:
    """Write the numbers, one line per pool, and print them, one column per pool."""
    keys = [*next(iter(statistics.values()))]
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['pool', *keys])
        writer.writerows([name, *found.values()] for name, found in statistics.items())
    table = [['', *(f'pool {number}' for number in range(len(statistics)))]]
    table += [[key, *(f'{found[key]:.2f}' for found in statistics.values())] for key in keys]
    print(f'\n{format_table(table)}')


def draw_pool_figure(pool: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """An overview of a context pool (n, h, w).

    The first line shows the correlations of all rows, the energy of the singular vectors, the mean
    row and the first singular vectors; the second line shows some rows, evenly spaced, each scaled
    to the range of its values.
    """
    figure = Figure(figsize=(10.5, 4.2), layout='constrained')
    axes = figure.subplots(2, NUM_ROWS)
    figure.suptitle(title, fontsize='medium')

    axes[0, 0].imshow(correlations(pool, pool), vmin=-1, vmax=1, cmap='coolwarm')
    axes[0, 0].set_title('correlation of rows\n(blue -1, red 1)', fontsize='small')
    axes[0, 0].set(xticks=[], yticks=[], xlabel='class', ylabel='class')

    energies = 100 * singular_energies(pool)[:6]
    axes[0, 1].bar(range(1, len(energies) + 1), energies)
    axes[0, 1].set_title('energy of singular\nvectors, %', fontsize='small')
    axes[0, 1].set(ylim=(0, 100), xticks=range(1, len(energies) + 1))

    vectors = np.linalg.svd(pool.reshape(len(pool), -1), full_matrices=False)[2][:NUM_VECTORS]
    signs = np.sign(vectors @ pool.reshape(len(pool), -1).mean(axis=0))[:, None]
    shown = [('mean row', pool.mean(axis=0))]
    shown += [(f'singular vector {i}', vector.reshape(pool.shape[1:]))
              for i, vector in enumerate(vectors * np.where(signs == 0, 1, signs), 1)]
    chosen = np.linspace(0, len(pool) - 1, min(NUM_ROWS, len(pool))).round().astype(int)
    shown_rows = [(names[k], pool[k]) for k in chosen]
    for cells, maps in ((axes[0, 2:], shown), (axes[1], shown_rows)):
        for axis in cells:
            axis.set_axis_off()
        for axis, (name, values) in zip(cells, maps, strict=False):
            axis.imshow(values, cmap='viridis')
            axis.set_title(name, fontsize='small')
    return figure


if __name__ == '__main__':
    try:
        main()
    except UserError as error:
        sys.exit(f'error: {error}')
