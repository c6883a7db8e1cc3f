"""Search theta and the map rule: ``python tools/search_threshold.py CONFIG CHECKPOINT``.

One pass over the validation images gives Top-1, Top-5 and GT-known Loc for every theta and map
rule. Writes curve.csv, curve.png, search.json and best.py, a config with the best setting.
"""

import argparse
import csv
import os
from pathlib import Path

from _cli import (
    ArgumentParser,
    UserError,
    add_common_arguments,
    check_checkpoint,
    load_config,
    output_folder,
    run,
)

# isort: split
from mmengine.dist import is_main_process

from cicam_mm.engine.threshold_search import search_threshold
from cicam_mm.evaluation.held_out import SPLITS
from cicam_mm.evaluation.theta_sweep import SWEPT_METRICS
from cicam_mm.localization import MAP_RULES
from cicam_mm.utils.console import format_table
from cicam_mm.utils.io import open_atomically, to_json, write_atomically
from cicam_mm.utils.settings import merge_options
from cicam_mm.visualization.curves import draw_theta_curves

TITLES = dict(zip(('Top-1 Loc', 'Top-5 Loc', 'GT-known Loc'), SWEPT_METRICS, strict=True))
IMAGES = dict(
    val='validation images',
    train='training images, whose labels the model has learned',
    test='TEST images, so their result at this theta is no longer a test result')


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser('Search theta and the map rule')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument(
        '--split', choices=SPLITS, default='val',
        help='images to search on; default: val, which must not contain test images')
    parser.add_argument(
        '--by', choices=SWEPT_METRICS, default='gt_known_loc',
        help='the metric to maximize; default: gt_known_loc')
    parser.add_argument(
        '--map-rules', nargs='+', choices=MAP_RULES, metavar='RULE',
        help=f"rules to try besides the config's, of {', '.join(MAP_RULES)}; default: all that "
        'the number of classes allows')
    parser.add_argument('--step', type=float, default=0.02, help='step of theta; default: 0.02')
    parser.add_argument(
        '--out', type=output_folder, metavar='DIR',
        help='output folder; default: threshold_search beside the checkpoint')
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_checkpoint(args.checkpoint)
    if args.out is None and '://' in args.checkpoint:
        raise UserError('give an output folder with --out, because the checkpoint is an address')
    args.out = args.out or Path(args.checkpoint).parent / 'threshold_search'
    args.work_dir = args.work_dir or str(args.out)
    cfg = load_config(args)
    merge_options(cfg, args.cfg_options or {})
    found = search_threshold(
        cfg, args.checkpoint, args.split, args.by, args.map_rules, args.step)
    if is_main_process():
        summary = dict(split=args.split, num_images=found.num_images, by=found.by,
                       config=args.config, checkpoint=args.checkpoint, best=found.best,
                       configured=found.configured)
        write_results(args.out, found.rows, summary, dict(cfg.model.head.localizer))
        print_results(args.out, summary)


def write_results(out: Path, rows: list[dict], summary: dict, localizer: dict) -> None:
    with open_atomically(out / 'curve.csv', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    write_atomically(out / 'search.json', to_json(summary, indent=2) + '\n')

    best, told = summary['best'], f'{summary["num_images"]} {IMAGES[summary["split"]]}'
    lines = {title: {rule: [row[key] for row in rows if row['map_rule'] == rule]
                     for rule in dict.fromkeys(row['map_rule'] for row in rows)}
             for title, key in TITLES.items()}
    thetas = sorted({row['theta'] for row in rows})
    figure = draw_theta_curves(lines, thetas, (best['map_rule'], best['theta']), f'on {told}')
    with open_atomically(out / 'curve.png', 'wb') as file:
        figure.savefig(file, format='png', dpi=150)

    localizer.update(map_rule=best['map_rule'], theta=best['theta'])
    options = ', '.join(f'{key}={value!r}' for key, value in localizer.items())
    base = Path(os.path.relpath(summary['config'], out)).as_posix()
    write_atomically(
        out / 'best.py',
        f'# Highest {summary["by"]} ({best[summary["by"]]:.2f} %) on {told}.\n'
        f'_base_ = {base!r}\n\nmodel = dict(head=dict(localizer=dict({options})))\n')


def print_results(out: Path, summary: dict) -> None:
    table = [['', 'map rule', 'theta', *TITLES]]
    table += [[name, row['map_rule'], f'{row["theta"]:g}',
               *(f'{row[key]:.2f}' for key in SWEPT_METRICS)]
              for name, row in (('best', summary['best']), ('config', summary['configured']))]
    print(f'\nSearched on {summary["num_images"]} {IMAGES[summary["split"]]}; '
          f'best by {summary["by"]}\n\n{format_table(table)}\n\n'
          f'To test it: python tools/test.py {out / "best.py"} '
          f'{summary["checkpoint"]}')


if __name__ == '__main__':
    run(main)
