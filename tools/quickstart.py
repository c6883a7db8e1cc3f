"""Train CAM, NL-CCAM and CI-CAM on the built-in data set and compare them.

Usage: ``bash tools/quickstart.sh [--seed N] [--out DIR] [--short]``
"""
from pathlib import Path

from _cli import ArgumentParser, run

CONFIGS = Path(__file__).parents[1] / 'configs'
METHODS = {'CAM': 'cam/cam', 'NL-CCAM': 'nlccam/nlccam', 'CI-CAM': 'cicam'}
COLUMNS = {'Top-1 Cls': 'wsol/top1_cls', 'Top-1 Loc': 'wsol/top1_loc',
           'Top-5 Loc': 'wsol/top5_loc', 'GT-known Loc': 'wsol/gt_known_loc', 'theta': 'theta'}
SHOWN = range(4)  # test images in the figure

parser = ArgumentParser(__doc__.splitlines()[0], 'quickstart --seed 1 --out work_dirs/again')
parser.add_argument('--seed', type=int, default=0, help='seed of the training; default: 0')
parser.add_output('--out', is_folder=True, default='work_dirs/quickstart', metavar='DIR',
                  help='default: work_dirs/quickstart')
parser.add_argument('--short', action='store_true', help='one epoch on a tenth of the images')


def main(args) -> None:
    from cicam_mm.apis import TestSet
    from cicam_mm.checkpoints.resume import find_resumable
    from cicam_mm.sweep.runs import read_result, train_and_test
    from cicam_mm.utils.console import format_table
    from cicam_mm.visualization import draw_comparison
    from cicam_mm.visualization.pictures import write_picture

    table, results = [['', *COLUMNS]], {}
    for name, stem in METHODS.items():
        print(f'\n=== {name} ===', flush=True)
        cfg = load_config(stem, args)
        train_and_test(cfg, search_theta=True)
        metrics = read_result(Path(cfg.work_dir))
        table.append([name, *(f'{metrics[key]:.{2 if key == "theta" else 1}f}'
                              for key in COLUMNS.values())])
        cfg.model.head.localizer.theta = metrics['theta']
        test_set = TestSet(cfg, str(find_resumable(cfg.work_dir)))
        results[name] = [*test_set.predict(SHOWN)]

    infos, meta = map(test_set.dataset.get_data_info, SHOWN), test_set.dataset.metainfo
    rows = [test_set.example(
                {name: samples[i] for name, samples in results.items()},
                f'{meta["classes"][info["gt_label"]]} on {meta["contexts"][info["context"]]}')
            for i, info in zip(SHOWN, infos, strict=True)]
    write_picture(args.out / 'figure.png', draw_comparison(rows))
    print(f'\nLocalization on {len(test_set.dataset)} test images, in percent; theta is the best '
          f'on validation images\n\n{format_table(table)}\n')
    print(f'Figure: {args.out.resolve()}/figure.png')


def load_config(stem, args):
    from mmengine.config import Config

    cfg = Config.fromfile(CONFIGS / f'{stem}_tiny_shapes.py')
    cfg.work_dir = str(args.out / Path(stem).name)
    cfg.randomness = dict(seed=args.seed)
    cfg.train_cfg.val_interval = cfg.train_cfg.max_epochs + 1  # theta is searched at the end
    del cfg.default_hooks.result_table  # one table for all methods
    if args.short:
        cfg.train_cfg.max_epochs = 1
        cfg.train_dataloader.dataset.num_images = 120
        cfg.val_dataloader.dataset.num_images = cfg.test_dataloader.dataset.num_images = 60
    return cfg


if __name__ == '__main__':
    run(main, parser)
