"""Find theta and the map rule: ``python tools/search_threshold.py CONFIG CHECKPOINT``.

One pass over the validation images gives Top-1, Top-5 and GT-known Loc at every theta with every
map rule. It leaves curve.csv, curve.png, search.json and best.py, a config with the best setting.
"""

import argparse
import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path

from _cli import (
    ArgumentParser,
    UserError,
    add_common_arguments,
    check_checkpoint,
    load_config,
    run,
    start_runner,
)

# isort: split
import numpy as np
from mmengine.config import ConfigDict
from mmengine.dist import is_main_process
from mmengine.registry import init_default_scope
from mmpretrain.registry import TASK_UTILS

from cicam_mm.engine.console import format_table
from cicam_mm.evaluation.held_out import SPLITS, loader_of_split
from cicam_mm.evaluation.metrics.theta_sweep import SWEPT_METRICS
from cicam_mm.localization import MAP_RULES, rank_weights
from cicam_mm.visualization.theta_curve import draw_theta_curves

TITLES = dict(zip(('Top-1 Loc', 'Top-5 Loc', 'GT-known Loc'), SWEPT_METRICS, strict=True))
IMAGES = dict(
    val='validation images',
    train='training images, whose labels the model has learned',
    test='TEST images, so their result at this theta is not a test result any more')


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser('Find theta and the map rule')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument(
        '--split', choices=SPLITS, default='val',
        help='images to search on; default val, which must not be the test images')
    parser.add_argument(
        '--by', choices=SWEPT_METRICS, default='gt_known_loc',
        help='what the best setting is best in; default gt_known_loc')
    parser.add_argument(
        '--map-rules', nargs='+', choices=MAP_RULES, metavar='RULE',
        help=f"to try beside the config's, of {', '.join(MAP_RULES)}; default all that the number "
        'of classes allows')
    parser.add_argument('--step', type=float, default=0.02, help='of theta; default 0.02')
    parser.add_argument(
        '--out', type=Path, metavar='DIR', help='default threshold_search beside the checkpoint')
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_checkpoint(args.checkpoint)
    if args.out is None and '://' in args.checkpoint:
        raise UserError('say with --out where to write, for the checkpoint is an address')
    args.out = args.out or Path(args.checkpoint).parent / 'threshold_search'
    args.work_dir = args.work_dir or str(args.out)
    cfg = load_config(args)
    cfg.merge_from_dict(args.cfg_options or {})
    args.cfg_options = None  # from here on test_dataloader is that of the split
    localizer = cfg.model.head.get('localizer')
    if localizer is None:
        raise UserError(f'the head of {args.config} names no localizer, so it has no theta; name '
                 'one as model.head.localizer')
    configured = TASK_UTILS.build(localizer, default_args=dict(type='CombinationalLocalizer'))
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    try:
        cfg.test_dataloader = loader_of_split(cfg, args.split)
    except UserError as error:
        raise UserError(f'{args.config}: {error}') from None
    swept = dict(map_rules=choose_map_rules(cfg.model.head, configured.map_rule, args.map_rules),
                 thetas=choose_thetas(args.step, configured.theta))
    cfg.load_from = args.checkpoint
    cfg.model.head.localizer = dict(localizer, type='SweepingLocalizer', **swept)
    cfg.test_evaluator = dict(type='ThetaSweep', by=args.by, **swept)
    cfg.default_hooks.pop('result_table', None)  # the table below tells more

    runner = start_runner(cfg, args)
    runner.test()
    if is_main_process():
        rows = curve_rows(runner.test_evaluator.metrics[0].curves)
        best = max(rows, key=lambda row: row[args.by])  # of equals the first
        # the config's own rule is the first
        given = next(row for row in rows if row['theta'] == configured.theta)
        summary = dict(split=args.split, num_images=len(runner.test_dataloader.dataset),
                       by=args.by, config=args.config, checkpoint=args.checkpoint, best=best,
                       configured=given)
        write_results(args.out, rows, swept['thetas'], summary, dict(localizer))
        print_results(args.out, summary)


def choose_map_rules(head: ConfigDict, own: str, asked: Sequence[str] | None) -> list[str]:
    """The rules to try, the config's own first; those that do not fit the classes are named."""
    options = {key: value for key, value in head.localizer.items()
               if key in ('num_lowest', 'split')}
    chosen = []
    for rule in dict.fromkeys((own, *(asked or MAP_RULES))):
        try:
            rank_weights(rule, head.num_classes, **options)
        except UserError as error:
            if asked:
                raise
            print(f'Without the map rule {rule}: {error}')
        else:
            chosen.append(rule)
    return chosen


def choose_thetas(step: float, own: float) -> list[float]:
    """0, step, 2 step, ... below 1, and the config's own."""
    if not 0 < step < 1:
        raise UserError(f'--step must lie in (0, 1), not be {step:g}')
    return sorted({own, *(round(theta, 6) for theta in np.arange(0, 1, step).tolist())})


def curve_rows(curves: dict) -> list[dict]:
    """The curves as rows, theta by theta, rule by rule."""
    return [dict(map_rule=rule, theta=theta, **{key: curves[key][r][t] for key in SWEPT_METRICS})
            for r, rule in enumerate(curves['map_rules'])
            for t, theta in enumerate(curves['thetas'])]


def write_results(out: Path, rows: list[dict], thetas, summary: dict, localizer: dict) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with open(out / 'curve.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (out / 'search.json').write_text(json.dumps(summary, indent=2) + '\n')

    best, told = summary['best'], f'{summary["num_images"]} {IMAGES[summary["split"]]}'
    lines = {title: {rule: [row[key] for row in rows if row['map_rule'] == rule]
                     for rule in dict.fromkeys(row['map_rule'] for row in rows)}
             for title, key in TITLES.items()}
    draw_theta_curves(lines, thetas, (best['map_rule'], best['theta']), f'on {told}').savefig(
        out / 'curve.png', dpi=150)

    localizer.update(map_rule=best['map_rule'], theta=best['theta'])
    options = ', '.join(f'{key}={value!r}' for key, value in localizer.items())
    base = Path(os.path.relpath(summary['config'], out)).as_posix()
    (out / 'best.py').write_text(
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
