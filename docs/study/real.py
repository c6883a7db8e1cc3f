"""The runs of docs/evidence.md: ``python docs/study/real.py cub50`` or ``birds``.

Trains each cell with each seed on cached features, finds theta on held-out images, tests, and
writes ``docs/study/real_cub50.csv`` (a row a run) and ``real_cub50_images.csv`` (for each image
whether class, box of the predicted class and box of the label are right, by run). Goes on where it
stopped when started again.
"""
import argparse
import csv
import json
import os
from functools import cache, partial
from pathlib import Path

import numpy as np
from fixed_box import fixed_box
from mmengine.config import Config
from mmpretrain.registry import METRICS

from cicam_mm.evaluation.functional.overlap import box_iou
from cicam_mm.evaluation.metrics import WSOLMetric
from cicam_mm.evaluation.metrics.wsol_metric import judge_image, percent
from cicam_mm.files import read_text, write_atomically
from cicam_mm.finite_json import to_json
from cicam_mm.sweep import tables
from cicam_mm.sweep.execution import METRICS as RESULT
from cicam_mm.sweep.execution import is_done, read_result, train_and_test
from cicam_mm.sweep.plan import Run
from cicam_mm.sweep.processes import run_all

HERE = Path(__file__).parent
#: Boxes as shares of width and height, beside the one that fits most held-out images.
BOXES = {'centre box': [0.146, 0.146, 0.854, 0.854], 'whole image': [0, 0, 1, 1]}
CELLS = dict(cub50=('none', 'own', 'far', 'mean', 'zeros', 'other'),
             birds=('none', 'own', 'far', 'mean', 'zeros'))
SEEDS = dict(cub50=range(5), birds=range(10))
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
    else:
        cfg.model.head.pool.context = cell


def plan(name: str, cells, seeds, out: Path, rates) -> list[tuple[Run, str | None]]:
    """The runs and, for birds, the folders of their data."""
    if name == 'cub50':
        return [(Run(cell, 'configs/cicam_vgg16_cub50_frozen.py', {'lr': rate}, seed,
                     out / f'{cell}_lr{rate}' / f'seed_{seed}'), None)
                for seed in seeds for rate in rates for cell in cells]
    data = Path(os.environ.get('CICAM_BIRDS_ROOT', 'work_dirs/birds'))
    return [(Run(cell, str(HERE / 'birds' / 'own.py'), {'rho': rho, 'lr': rate}, seed,
                 out / f'{cell}_rho{rho}_lr{rate}' / f'seed_{seed}'),
             str(data / f'draw_{seed}' / f'rho_{rho}'))
            for seed in seeds for rate in rates for rho in ('0', '0.8', '0.95') for cell in cells]


@cache
def box_of_held_out(config: str, data: str | None) -> list[float]:
    return fixed_box(Config.fromfile(config), 'val')[0].tolist()


def configure(run: Run, data: str | None) -> Config:
    if data:
        os.environ['CICAM_BIRDS'] = data
    cfg = Config.fromfile(run.config)
    if data:  # held-out and test images are the same for each rho
        for loader in cfg.val_dataloader, cfg.test_dataloader:
            loader.dataset.data_root = str(Path(data).with_name('rho_0'))
    set_cell(cfg, run.method)
    cfg.work_dir = str(run.folder)
    cfg.randomness = dict(seed=run.seed)
    cfg.optim_wrapper.optimizer.lr = float(run.options['lr'])
    boxes = {'fixed box': box_of_held_out(run.config, data)} | BOXES
    cfg.test_evaluator.append(dict(
        type='ImageHits', out=str(run.folder / 'images.json'), boxes=boxes))
    return cfg


def collect(name: str, runs: list[Run]) -> None:
    """Write the CSV files of the finished runs."""
    done = [run for run in runs if (run.folder / RESULT).is_file()]
    write_atomically(HERE / f'real_{name}.csv', tables.as_csv(
        [(run, read_result(run.folder)) for run in done]))
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
    parser.add_argument('name', choices=['cub50', 'birds'])
    parser.add_argument('--cells', nargs='+')
    parser.add_argument('--seeds', type=int, nargs='+')
    parser.add_argument('--rates', nargs='+', default=[RATE])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/real'))
    args = parser.parse_args()
    planned = plan(args.name, args.cells or CELLS[args.name], args.seeds or SEEDS[args.name],
                   args.work_dir / args.name, args.rates)
    work = {}
    for run, data in planned:
        cfg = configure(run, data)
        if not is_done(cfg, search_theta=True):
            work[run] = partial(train_and_test, cfg, True)
    for number, (run, seconds, error) in enumerate(run_all(work, 1), 1):
        print(f'{number}/{len(work)} {run.name}: {seconds:.0f} s {error or ""}', flush=True)
        if not error:
            collect(args.name, [run for run, _ in planned])


if __name__ == '__main__':
    main()
