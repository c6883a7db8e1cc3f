"""The training cost of each method against plain CAM, with the models of their configs."""

import multiprocessing
import resource
from pathlib import Path

import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from cicam_mm.models import find_pools

from .models import SIDE
from .timing import Row, alternate, compare

CONFIGS = Path(__file__).parents[2] / 'configs'
FIRST = 'cam'


def find_configs() -> dict[str, Path]:
    """The VGG16 config for CUB of each method, plain CAM first, on both networks there are."""
    found = {path.stem.removesuffix('_vgg16_cub'): path
             for path in sorted(CONFIGS.glob('*/*_vgg16_cub.py'))}
    return {FIRST: found.pop(FIRST),
            'cam on VGG16-GAP': CONFIGS / 'cam' / 'cam_vgg16_cub_wsoleval.py',
            **found, 'cicam': CONFIGS / 'cicam_vgg16_cub.py'}


class MethodStep:
    """Preprocessing, forward, pool, backward and Adam for one batch of noise."""

    def __init__(self, config: Path, batch: int, device: str):
        torch.manual_seed(0)
        cfg = Config.fromfile(config)
        cfg.model.backbone.pop('init_cfg', None)
        self.model = MODELS.build(dict(cfg.model, data_preprocessor=dict(
            cfg.get('data_preprocessor', {}), **cfg.model.get('data_preprocessor') or {})))
        self.model.train().to(device)
        for pool in find_pools(self.model):
            pool.has_updater = True
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-6)
        labels = torch.randint(cfg.model.head.num_classes, (batch, ))
        self.data = dict(
            inputs=[torch.randint(256, (3, SIDE, SIDE), dtype=torch.uint8) for _ in labels],
            data_samples=[DataSample().set_gt_label(label) for label in labels])

    def __call__(self):
        data = self.model.data_preprocessor(self.data, training=True)
        losses = self.model(**data, mode='loss')
        self.optimizer.zero_grad()
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        self.optimizer.step()
        for pool in find_pools(self.model):
            pool.update(*pool.take_pending())


def measure(batch: int, rounds: int, device: str) -> list[Row]:
    configs = find_configs()
    with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as processes:
        peaks = {name: processes.apply(_peak, (path, batch, device))
                 for name, path in configs.items()}
    steps = {name: MethodStep(path, batch, device) for name, path in configs.items()}
    rows = compare(f'training step of methods, batch {batch}',
                   alternate(steps, rounds, device=device))
    return rows + [Row(f'peak memory of methods in training, batch {batch}', name,
                       peak / peaks[FIRST], peak, 'GB') for name, peak in peaks.items()]


def _peak(path, batch, device):
    step = MethodStep(path, batch, device)
    for _ in range(3):
        step()
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
