"""Search theta and the map rule: ``cicam_mm search_threshold CONFIG CHECKPOINT``.

One pass over the validation images gives Top-1, Top-5 and GT-known Loc for every theta and map
rule. Writes curve.csv, curve.png, search.json, which ``--settings`` of other tools takes, and
best.py, a config with the best setting.
"""
import csv
from pathlib import Path

from _cli import ArgumentParser, load_config, run

METRICS = ('top1_loc', 'top5_loc', 'gt_known_loc')
TITLES = dict(zip(('Top-1 Loc', 'Top-5 Loc', 'GT-known Loc'), METRICS, strict=True))
IMAGES = dict(
    val='validation images',
    train='training images, whose labels the model has learned',
    test='TEST images, so their result at this theta is no longer a test result')

parser = ArgumentParser('Search theta and the map rule on images other than the test images.',
                        'search_threshold configs/cicam_tiny_shapes.py epoch_5.pth')
parser.add_model()
parser.add_argument('--split', choices=tuple(IMAGES), default='val', help='images to search '
                    'on; default: val, which must not contain test images')
parser.add_argument('--by', choices=METRICS, default='gt_known_loc',
                    help='the metric to maximize; default: gt_known_loc')
parser.add_argument('--map-rules', nargs='+', metavar='RULE', help='rules to try besides the '
                    "config's; default: all that the number of classes allows")
parser.add_argument('--step', type=float, default=0.02, help='step of theta; default: 0.02')
parser.add_output('--out', is_folder=True, metavar='DIR',
                  help='output folder; default: threshold_search beside the checkpoint')
parser.add_run()


def main(args) -> None:
    from mmengine.dist import is_main_process

    from cicam_mm.engine.threshold_search import search_threshold
    from cicam_mm.utils.errors import UserError

    cfg = load_config(args)
    if args.out is None and '://' in args.checkpoint:
        raise UserError('give an output folder with --out, because the checkpoint is an address')
    args.out = args.out or Path(args.checkpoint).parent / 'threshold_search'
    cfg.work_dir = args.work_dir or str(args.out)
    found = search_threshold(
        cfg, args.checkpoint, args.split, args.by, args.map_rules, args.step)
    if is_main_process():
        summary = dict(split=args.split, num_images=found.num_images, by=found.by,
                       config=args.config, checkpoint=args.checkpoint, best=found.best,
                       configured=found.configured)
        write_results(args.out, found.rows, summary, cfg)


def write_results(out: Path, rows: list[dict], summary: dict, cfg) -> None:
    from cicam_mm.localization import rule_name
    from cicam_mm.utils.console import format_table
    from cicam_mm.utils.io import open_atomically, to_json, write_atomically
    from cicam_mm.visualization.curves import draw_theta_curves

    rows = [dict(row, map_rule=rule_name(row['map_rule'])) for row in rows]
    best, by = summary['best'], summary['by']
    images = f'{summary["num_images"]} {IMAGES[summary["split"]]}'
    with open_atomically(out / 'curve.csv', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    write_atomically(out / 'search.json', to_json(summary, indent=2) + '\n')
    lines = {title: {rule: [row[key] for row in rows if row['map_rule'] == rule]
                     for rule in dict.fromkeys(row['map_rule'] for row in rows)}
             for title, key in TITLES.items()}
    thetas = sorted({row['theta'] for row in rows})
    figure = draw_theta_curves(lines, thetas, (rule_name(best['map_rule']), best['theta']),
                               f'on {images}')
    with open_atomically(out / 'curve.png', 'wb') as file:
        figure.savefig(file, format='png', dpi=150)
    best_config = cfg.copy()
    best_config.model.head.localizer.update(map_rule=best['map_rule'], theta=best['theta'])
    write_atomically(out / 'best.py', f'# Highest {by} ({best[by]:.2f} %) on {images}.\n'
                     + best_config.pretty_text)

    table = [['', 'map rule', 'theta', *TITLES]]
    table += [[name, rule_name(row['map_rule']), f'{row["theta"]:g}',
               *(f'{row[key]:.2f}' for key in METRICS)]
              for name, row in (('best', best), ('config', summary['configured']))]
    print(f'\nSearched on {images}; best by {by}\n\n{format_table(table)}\n\n'
          f'To test it: cicam_mm test {out / "best.py"} {summary["checkpoint"]}')


if __name__ == '__main__':
    run(main, parser)
