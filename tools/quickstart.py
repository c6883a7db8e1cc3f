"""Train CAM, NL-CCAM and CI-CAM on the built-in data set and compare them.

Usage: ``bash tools/quickstart.sh [--seed N] [--out DIR] [--short]``
"""

from pathlib import Path

from _cli import ArgumentParser, output_folder, run

from cicam_mm.engine.runner import build_runner, lock_work_dir
from cicam_mm.utils.console import format_table

# isort: split
import mmcv
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import find_latest_checkpoint, load_checkpoint

from cicam_mm.visualization import Example, Localized, draw_comparison
from cicam_mm.visualization.pictures import write_picture

CONFIGS = Path(__file__).parents[1] / 'configs'
METHODS = {'CAM': 'cam/cam', 'NL-CCAM': 'nlccam/nlccam', 'CI-CAM': 'cicam'}
COLUMNS = {
    'Top-1 Cls': 'wsol/top1_cls',
    'Top-1 Loc': 'wsol/top1_loc',
    'Top-5 Loc': 'wsol/top5_loc',
    'GT-known Loc': 'wsol/gt_known_loc',
}
SHOWN = range(4)  # test images in the figure


def main():
    args = parse_args()
    table, results = [['', *COLUMNS]], {}
    for name, stem in METHODS.items():
        print(f'\n=== {name} ===', flush=True)
        cfg = load_config(stem, args)
        with lock_work_dir(cfg.work_dir):
            runner = build_runner(cfg)
            runner.train()
            metrics = runner.test()
        table.append([name, *(f'{metrics[key]:.1f}' for key in COLUMNS.values())])
        dataset = runner.test_dataloader.dataset
        results[name] = predict(runner, dataset)

    figure = args.out / 'figure.png'
    write_picture(figure, draw_comparison([*figure_rows(dataset, results)]))
    print(f'\nLocalization on {len(dataset)} test images, in percent\n\n{format_table(table)}\n')
    print(f'Figure: {figure.resolve()}')


def parse_args():
    parser = ArgumentParser(__doc__.splitlines()[0])
    parser.add_argument('--seed', type=int, default=0, help='seed of the training; default: 0')
    parser.add_argument('--out', type=output_folder, default='work_dirs/quickstart', metavar='DIR')
    parser.add_argument(
        '--short', action='store_true', help='one epoch on a tenth of the images: a smoke test')
    return parser.parse_args()


def load_config(stem, args):
    cfg = Config.fromfile(CONFIGS / f'{stem}_tiny_shapes.py')
    cfg.work_dir = str(args.out / Path(stem).name)
    cfg.randomness = dict(seed=args.seed)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None  # tested at the end
    del cfg.default_hooks.result_table  # one table for all methods
    if args.short:
        cfg.train_cfg.max_epochs = 1
        cfg.train_dataloader.dataset.num_images = 120
        cfg.test_dataloader.dataset.num_images = 60
    return cfg


def predict(runner, dataset):
    """Predictions for the images of the figure, with the averaged weights of the checkpoint."""
    load_checkpoint(runner.model, find_latest_checkpoint(runner.work_dir))
    runner.model.eval()
    with torch.no_grad():
        return runner.model.test_step(pseudo_collate([dataset[i] for i in SHOWN]))


def figure_rows(dataset, results):
    for i in SHOWN:
        info = dataset.get_data_info(i)
        yield Example(
            mmcv.bgr2rgb(info['img']),
            [instance['bbox'] for instance in info['instances']],
            [Localized(name, samples[i].score_map.numpy(), samples[i].pred_box.numpy())
             for name, samples in results.items()],
            caption=f'{dataset.metainfo["classes"][info["gt_label"]]} on '
            f'{dataset.metainfo["contexts"][info["context"]]}')


if __name__ == '__main__':
    run(main)
