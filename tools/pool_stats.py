"""Statistics of context pools: ``python tools/pool_stats.py CHECKPOINT...``.

Takes checkpoints of this project and pool files of the 2021 release, and runs nothing in them.
Prints how similar the rows are, of how many maps they consist and whether they are a bump in the
middle; with ``--config`` also how well they localize and resemble the objects of its test set.
Writes these numbers to pool_stats.csv, and a figure of each pool.
"""

import argparse
import csv
from pathlib import Path

from _cli import ArgumentParser, UserError, output_folder, read_config, run

from cicam_mm.checkpoints.release import read_pools
from cicam_mm.evaluation.pool_statistics import describe_rows, judge_rows

# isort: split
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, TASK_UTILS
from mmpretrain.utils import track

from cicam_mm.utils.console import format_table
from cicam_mm.utils.io import open_atomically, spreadsheet_cell
from cicam_mm.visualization import class_name
from cicam_mm.visualization.pool_figure import draw_pool_figure


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser('Statistics of context pools')
    parser.add_argument('checkpoints', nargs='+', metavar='CHECKPOINT')
    parser.add_argument(
        '--config', help='judge the rows by the test set and the localizer of this config')
    parser.add_argument('--out', type=output_folder, default='pool_stats', metavar='DIR')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    pools = {}
    for path in args.checkpoints:
        found = read_pools(path)
        if not found:
            raise UserError(f'{path} holds no context pool; use the checkpoint of a model that '
                            'has one, or a pool file of the release.')
        pools |= {label(path, name): pool for name, pool in found.items()}
    dataset, localizer = (None, None) if args.config is None else build(read_config(args.config))
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
        with open_atomically(path, 'wb') as file:
            draw_pool_figure(pool.numpy(), names, name).savefig(file, format='png', dpi=120)
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
    with open_atomically(path, newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['pool', *keys])
        writer.writerows([spreadsheet_cell(name), *found.values()]
                         for name, found in statistics.items())
    table = [['', *(f'pool {number}' for number in range(len(statistics)))]]
    table += [[key, *(f'{found[key]:.2f}' for found in statistics.values())] for key in keys]
    print(f'\n{format_table(table)}')


if __name__ == '__main__':
    run(main)
