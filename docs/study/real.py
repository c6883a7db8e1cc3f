"""The runs of docs/evidence.md: ``python docs/study/real.py cub50|birds|methods|demo``.

Trains each cell with each seed on cached features, finds theta on held-out images, tests, and
writes ``docs/study/real_cub50.csv`` (a row a run) and ``real_cub50_images.csv`` (for each image
whether class, box of the predicted class and box of the label are right, by run). Goes on where it
stopped when started again.
"""
import argparse
import csv
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path

import controlled_pool  # noqa: F401, registers it
import numpy as np
from fixed_box import BOXES, fixed_box
from mmengine.config import Config
from mmpretrain.registry import METRICS

from cicam_mm.evaluation import WSOLMetric
from cicam_mm.evaluation.wsol_metric import judge_image, percent
from cicam_mm.localization.overlap import box_iou
from cicam_mm.sweep import statistics as tables
from cicam_mm.sweep.processes import run_all
from cicam_mm.sweep.runs import METRICS as RESULT
from cicam_mm.sweep.runs import Run, is_done, read_result, train_and_test
from cicam_mm.utils.io import read_text, to_json, write_atomically

HERE = Path(__file__).parent
METHODS = {name: f'configs/{path}_vgg16_cub10_last-stage.py' for name, path in {
    'CAM': 'cam/cam', 'NL-CCAM': 'nlccam/nlccam', 'CI-CAM': 'cicam', 'ACoL': 'acol/acol',
    'ADL': 'adl/adl', 'HaS': 'has/has', 'Rethinking-CAM': 'rethinking-cam/rethinking-cam'}.items()}
CONFIGS = dict(cub50='configs/cicam_vgg16_cub50_frozen.py', birds='docs/study/birds/own.py',
               demo='docs/study/own.py')
CELLS = dict(cub50=('none', 'own', 'far', 'mean', 'zeros', 'other', 'shared'),
             birds=('none', 'own', 'far', 'mean', 'zeros'),
             demo=('none', 'own', 'far', 'mean', 'zeros'), methods=tuple(METHODS))
SEEDS = dict(cub50=range(5), birds=range(10), demo=range(10), methods=range(3))
RATE = '1e-2'  # of none with seed 0 on the held-out images of cub50
HITS = 'top1_cls', 'top1_loc', 'gt_known_loc'


@METRICS.register_module()
class ImageHits(WSOLMetric):
    """Writes which images are right, and adds the results of boxes that ignore the image.

    Args:
        out (str): A JSON file: for the method and each box, a text of 0 and 1 for each of HITS.
        boxes (dict): Boxes as shares of width and height, by name.
    """

    default_prefix = None

    def __init__(self, out: str, boxes: dict, **kwargs):
        super().__init__(**kwargs)
        self.out, self.boxes = out, boxes

    def process(self, data_batch, data_samples) -> None:
        for sample in data_samples:
            rank, iou, known = judge_image(sample)
            height, width = sample['ori_shape']
            truths = np.asarray(sample['gt_bboxes'])
            scale = [width, height] * 2
            ious = [box_iou(np.multiply(box, scale).round(), truths).max()
                    for box in self.boxes.values()]
            self.results.append((rank == 0, iou, known, *ious))

    def compute_metrics(self, results: list) -> dict[str, float]:
        right, iou, known, *of_boxes = np.array(results, np.float64).T
        right = right == 1
        hits = {'method': (right, right & (iou >= 0.5), known >= 0.5)}
        hits |= {name: (right, right & (ious >= 0.5), ious >= 0.5)
                 for name, ious in zip(self.boxes, of_boxes, strict=True)}
        write_atomically(self.out, to_json({
            name: {key: ''.join(map(str, found.astype(int)))
                   for key, found in zip(HITS, of_name, strict=True)}
            for name, of_name in hits.items()}))
        return {f'{name}/{key}': percent(found) for name, of_name in hits.items()
                if name != 'method' for key, found in zip(HITS, of_name, strict=True)}


def set_cell(cfg: Config, cell: str) -> None:
    """What branch 2 reads."""
    if cell == 'none':
        cfg.model.head.pool = None
        cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != 'ContextPoolHook']
    elif cell == 'shared':
        cfg.model.head.pool.projection = cell
    else:
        cfg.model.head.pool.update(type='ControlledPool', context=cell)


def set_birds(cfg: Config, data: Path) -> None:
    """A draw and a rho; held-out and test images are the same for each rho."""
    cfg.train_dataloader.dataset.data_root = str(data)
    for loader in cfg.val_dataloader, cfg.test_dataloader:
        loader.dataset.data_root = str(data.with_name('rho_0'))


def set_demo(cfg: Config, placement: str, seed: int) -> None:
    """Other pictures with each seed, 6,000 of them for the test."""
    for name, offset in ('train', 0), ('val', 1000), ('test', 2000):
        cfg[f'{name}_dataloader'].dataset.update(placement=placement, seed=seed + offset)
    cfg.test_dataloader.dataset.num_images = 6000
    cfg.test_evaluator = [dict(type='WSOLMetric'), dict(type='LocalizationErrors')]


def set_method(cfg: Config, method: str) -> None:
    """Fifty classes, and frozen stages from the cache; the config is that for ten."""
    fifty = Config.fromfile('configs/cicam_vgg16_cub50_frozen.py')
    for name in 'train', 'val', 'test':
        dataset = cfg[f'{name}_dataloader'].dataset
        dataset.data_root = fifty.data_root
        dataset.indices = fifty[f'{name}_dataloader'].dataset.get('indices')
    cfg.data_preprocessor.num_classes = cfg.model.head.num_classes = 50
    cfg.train_dataloader.update(batch_size=16, num_workers=0)
    cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    cfg.test_evaluator = [dict(type='WSOLMetric')]
    cfg.custom_hooks = [fifty.custom_hooks[0], *cfg.get('custom_hooks', [])]
    if method == 'ADL':  # after pools 3 and 4 it would act within the frozen stages
        cfg.model.backbone.plugins[0].stages = (5, )


def plan(name: str, cells, seeds, out: Path, rates) -> Iterator[tuple[Run, Config]]:
    """The runs with their configs."""
    values = dict(cub50=[{}], birds=[{'rho': rho} for rho in ('0', '0.8', '0.95')], methods=[{}],
                  demo=[{'placement': place} for place in ('by_class', 'anywhere')])[name]
    for seed, rate, more, cell in product(seeds, rates, values, cells):
        options = more if name == 'demo' else more | {'lr': rate}
        path = METHODS[cell] if name == 'methods' else CONFIGS[name]
        parts = [cell, *(f'{key}{value}' for key, value in options.items())]
        run = Run(cell, path, options, seed, out / '_'.join(parts) / f'seed_{seed}')
        cfg = Config.fromfile(path)
        if name == 'methods':
            set_method(cfg, cell)
        else:
            set_cell(cfg, cell)
        if name == 'birds':
            root = Path(os.environ.get('CICAM_BIRDS', 'work_dirs/birds'))
            set_birds(cfg, root / f'draw_{seed}' / f'rho_{options["rho"]}')
        if name == 'demo':
            set_demo(cfg, options['placement'], seed)
        else:
            cfg.optim_wrapper.optimizer.lr = float(rate)
        cfg.work_dir = str(run.folder)
        cfg.randomness = dict(seed=seed)
        fixed = box_of_held_out(json.dumps(cfg.val_dataloader.dataset.to_dict(), default=str))
        cfg.test_evaluator.append(dict(type='ImageHits', out=str(run.folder / 'images.json'),
                                       boxes={'fixed box': fixed} | BOXES))
        yield run, cfg


@cache
def box_of_held_out(dataset: str) -> list[float]:
    """The box for the validation images of a config, given as JSON."""
    return fixed_box(Config(dict(test_dataloader=dict(dataset=json.loads(dataset)))), 'test'
                     )[0].tolist()


def collect(name: str, runs: list[Run]) -> None:
    """Write the CSV files of the finished runs."""
    done = [run for run in runs if (run.folder / RESULT).is_file()]
    write_atomically(HERE / f'real_{name}.csv', tables.as_csv(
        [(replace(run, folder=Path(*run.folder.parts[-3:])), read_result(run.folder))
         for run in done]))
    with (HERE / f'real_{name}_images.csv').open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['method', *done[0].options, 'seed', *HITS])
        for run in done:
            hits = json.loads(read_text(run.folder / 'images.json'))
            for box, found in hits.items():
                if box == 'method' or run.method == 'none':
                    writer.writerow([run.method if box == 'method' else box,
                                     *run.options.values(), run.seed,
                                     *(found[key] for key in HITS)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('name', choices=CELLS)
    parser.add_argument('--cells', nargs='+')
    parser.add_argument('--seeds', type=int, nargs='+')
    parser.add_argument('--rates', nargs='+', default=[RATE])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/real'))
    args = parser.parse_args()
    planned = [*plan(args.name, args.cells or CELLS[args.name], args.seeds or SEEDS[args.name],
                     args.work_dir / args.name, args.rates)]
    work = {run: partial(train_and_test, cfg, True) for run, cfg in planned
            if not is_done(cfg, search_theta=True)}
    for number, (run, seconds, error) in enumerate(run_all(work, 1), 1):
        print(f'{number}/{len(work)} {run.name}: {seconds:.0f} s {error or ""}', flush=True)
        if not error:
            collect(args.name, [run for run, _ in planned])


if __name__ == '__main__':
    main()
