"""The runs of docs/evidence.md: ``python docs/study/real.py cub50|birds|methods|glas|demo``.

Trains each cell with each seed on cached features, finds theta on held-out images, tests, and
writes ``docs/study/real_NAME.csv`` (a row a run) and ``real_NAME_images.csv`` (by run and box, for
each image whether class, box of the predicted class and box of the label are right; of
demo the percentages). Goes on where it stopped when started again.
"""
import argparse
import csv
import io
import json
import os
from collections.abc import Iterator
from functools import cache, partial
from itertools import product
from pathlib import Path

import controlled_pool  # noqa: F401, registers it
import numpy as np
from evidence import hits
from fixed_box import BOXES, fixed_box
from mmengine.config import Config
from mmpretrain.registry import METRICS

from cicam_mm.apis.configs import localize_config
from cicam_mm.checkpoints.resume import find_resumable
from cicam_mm.engine.runner import build_runner
from cicam_mm.engine.threshold_search import search_threshold
from cicam_mm.evaluation import WSOLMetric
from cicam_mm.evaluation.protocol import describe_protocol, write_metrics
from cicam_mm.evaluation.theta_sweep import SWEPT_METRICS
from cicam_mm.evaluation.wsol_metric import judge_image, percent
from cicam_mm.localization.overlap import box_iou
from cicam_mm.models.localized_classifier import LOCALIZER
from cicam_mm.sweep.processes import run_all
from cicam_mm.sweep.runs import METRICS as RESULT
from cicam_mm.sweep.runs import Run, is_done, read_result, train_and_test
from cicam_mm.utils.io import read_text, to_json, write_atomically

HERE = Path(__file__).parent
METHODS = {name: f'configs/{path}_vgg16_cub10_last-stage.py' for name, path in {
    'CAM': 'cam/cam', 'NL-CCAM': 'nlccam/nlccam', 'CI-CAM': 'cicam', 'ACoL': 'acol/acol',
    'ADL': 'adl/adl', 'HaS': 'has/has', 'Rethinking-CAM': 'rethinking-cam/rethinking-cam'}.items()}
CONFIGS = dict(cub50='configs/cicam_vgg16_cub50_frozen.py', birds='docs/study/birds/own.py',
               glas='configs/cicam_vgg16_glas_frozen.py', demo='docs/study/own.py')
CELLS = dict(cub50=('none', 'own', 'far', 'mean', 'zeros', 'other', 'shared'),
             birds=('none', 'own', 'far', 'mean', 'zeros'),
             demo=('none', 'own', 'far', 'mean', 'zeros'), methods=tuple(METHODS),
             glas=('CAM', 'NL-CCAM', 'CI-CAM', 'LayerCAM'))
SEEDS = dict(cub50=range(8), birds=range(10), demo=range(10), methods=range(3), glas=range(5))
WITH_BOXES = dict(methods='CAM')  # whose class the boxes have, elsewhere that of none
COMMON = ', rules of CAM'  # a trained method whose maps and boxes are made as CAM's
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
    cfg.auto_scale_lr = dict(base_batch_size=16)
    cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    cfg.test_evaluator = [dict(type='WSOLMetric'), dict(type='MaxBoxAcc', interval=0.02)]
    cfg.custom_hooks = [fifty.custom_hooks[0], *cfg.get('custom_hooks', [])]
    if method == 'ADL':  # after pools 3 and 4 it would act within the frozen stages
        cfg.model.backbone.plugins[0].stages = (5, )


def set_tissue(cfg: Config, method: str) -> None:
    """NL-CCAM is CI-CAM without a pool; CAM has one branch and its own rules for map and box."""
    if method != 'CI-CAM':
        set_cell(cfg, 'none')
    if method in ('CAM', 'LayerCAM'):
        cfg.model.head.pop('pool')
        cfg.model.head.update(type='CAMHead', localizer=LOCALIZER)
    cfg.test_evaluator.append(dict(type='Accuracy'))
    if method == 'LayerCAM':  # a trained CAM is tested, see run_on_tissue
        cfg.custom_hooks = []
        localize_config(cfg, 'layercam')


def with_rules_of_cam(cfg: Config) -> None:
    """Test a trained method, with a theta that is found anew."""
    localizer = cfg.model.head.localizer = Config.fromfile(METHODS['CAM']).model.head.localizer
    trained = find_resumable(Path(cfg.work_dir.replace(COMMON, '')))
    found = search_threshold(cfg, str(trained), map_rules=[localizer.map_rule]).best
    localizer.theta = found['theta']
    test_trained(cfg, trained, {'theta': found['theta'], **{
        f'val/{name}': found[name] for name in SWEPT_METRICS}})


def run_on_tissue(cfg: Config, method: str) -> None:
    """Train and test, or test a trained CAM by the gradients of its classifier."""
    if method != 'LayerCAM':
        build_runner(cfg).train()
    test_trained(cfg, find_resumable(Path(cfg.work_dir.replace('LayerCAM', 'CAM'))))


def test_trained(cfg: Config, trained: Path, held_out: dict | None = None) -> None:
    """Test a checkpoint; without results on held-out images, also on those."""
    cfg.load_from, cfg.experiment_name = str(trained), f'{cfg.work_dir} tested'
    runner = build_runner(cfg)
    held_out = held_out or {f'val/{key}': value for key, value in runner.val().items()}
    write_metrics(Path(cfg.work_dir) / RESULT, held_out | runner.test(), runner.test_evaluator,
                  describe_protocol(cfg, num_images=len(runner.test_dataloader.dataset)))


def set_epochs(cfg: Config, epochs: int) -> None:
    """A longer or shorter training, whose learning rate falls to nearly 0 as well."""
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs)
    cfg.param_scheduler[0].end = epochs + 1
    cfg.default_hooks.checkpoint.update(interval=epochs, max_keep_ckpts=1)


def plan(name: str, cells, seeds, out: Path, rates, epochs,
         placements) -> Iterator[tuple[Run, Config]]:
    """The runs with their configs."""
    values = dict(cub50=[{}], glas=[{}], birds=[{'rho': rho} for rho in ('0', '0.8', '0.95')],
                  methods=[{'epochs': number} for number in epochs],
                  demo=[{'placement': place} for place in placements])[name]
    for seed, rate, more, cell in product(seeds, rates, values, cells):
        options = more if name == 'demo' else more | {'lr': rate}
        method = cell.removesuffix(COMMON)
        path = METHODS[method] if name == 'methods' else CONFIGS[name]
        parts = [cell, *(f'{key}{value}' for key, value in options.items())]
        run = Run(cell, path, options, seed, out / '_'.join(parts) / f'seed_{seed}')
        cfg = Config.fromfile(path)
        if name == 'methods':
            set_method(cfg, method)
            set_epochs(cfg, int(more['epochs']))
        elif name == 'glas':
            set_tissue(cfg, cell)
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
        if name != 'glas':  # which is judged by masks
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
    """Add the finished runs to the CSV files; those of other calls stay."""
    of_runs, of_images = [], []
    for run in runs:
        if not (run.folder / RESULT).is_file():
            continue
        key = {'method': run.method, **run.options, 'seed': run.seed}
        of_runs.append({**key, **read_result(run.folder), 'folder': Path(*run.folder.parts[-3:])})
        path = run.folder / 'images.json'
        for box, found in json.loads(read_text(path)).items() if path.is_file() else ():
            if name == 'demo':  # hits of 6,000 pictures would fill megabytes
                found = {metric: float(hits(text).mean()) for metric, text in found.items()}
            if box == 'method':
                of_images.append(key | found)
            elif run.method == WITH_BOXES.get(name, 'none'):
                of_images.append(key | {'method': box} | found)
    add_rows(HERE / f'real_{name}.csv', of_runs)
    add_rows(HERE / f'real_{name}_images.csv', of_images)


def add_rows(path: Path, rows: list[dict]) -> None:
    """Add rows, or replace those with the same values up to the seed, and sort by these."""
    if not rows:
        return
    keys, found = [*rows[0]][:[*rows[0]].index('seed') + 1], {}
    if path.is_file():
        with path.open(newline='') as file:
            found = {tuple(row[key] for key in keys): row for row in csv.DictReader(file)}
    for row in rows:
        found[tuple(str(row[key]) for key in keys)] = row
    names = dict.fromkeys(key for row in found.values() for key in row if key != 'folder')
    lines = io.StringIO()
    writer = csv.DictWriter(lines, [*names, *({'folder'} & {*rows[0]})], lineterminator='\n')
    writer.writeheader()
    writer.writerows(found[key] for key in sorted(found, key=lambda key: (key[1:], key[0])))
    write_atomically(path, lines.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('name', choices=CELLS)
    parser.add_argument('--cells', nargs='+')
    parser.add_argument('--seeds', type=int, nargs='+')
    parser.add_argument('--rates', nargs='+', default=[RATE])
    parser.add_argument('--epochs', nargs='+', default=['3'], help='of methods')
    parser.add_argument('--placements', nargs='+', default=['by_class', 'anywhere'],
                        help='of demo')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/real'))
    args = parser.parse_args()
    planned = [*plan(args.name, args.cells or CELLS[args.name], args.seeds or SEEDS[args.name],
                     args.work_dir / args.name, args.rates, args.epochs,
                     args.placements)]
    work = {}
    for run, cfg in planned:
        if args.name == 'glas':
            is_tested, do = run.is_tested, partial(run_on_tissue, cfg, run.method)
        elif run.method.endswith(COMMON):
            is_tested, do = run.is_tested, partial(with_rules_of_cam, cfg)
        else:
            is_tested, do = is_done(cfg, search_theta=True), partial(train_and_test, cfg, True)
        if not is_tested:
            work[run] = do
    for number, (run, seconds, error) in enumerate(run_all(work, 1), 1):
        print(f'{number}/{len(work)} {run.name}: {seconds:.0f} s {error or ""}', flush=True)
        if not error:
            collect(args.name, [run])
    collect(args.name, [run for run, _ in planned])


if __name__ == '__main__':
    main()
