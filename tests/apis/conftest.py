from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from PIL import Image

from cicam_mm.apis import WSOLInferencer

CONFIG = Path(__file__).parents[2] / 'configs' / 'cicam_tiny_shapes.py'


def small_config():
    """The demo's, with a smaller network on images of 32 x 32 pixels."""
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.base_channels = 2
    cfg.model.head.in_channels = 8
    cfg.model.head.pool.size = (8, 8)
    cfg.test_pipeline[0].scale = (32, 32)
    cfg.test_dataloader.dataset.pipeline = cfg.test_pipeline
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    return cfg


@pytest.fixture
def config():
    return small_config()


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory):
    """An untrained model's, the classifier far from zero so that its maps have contrast."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(small_config().model)
    torch.nn.init.normal_(model.head.fc.weight)
    path = tmp_path_factory.mktemp('checkpoint') / 'epoch_1.pth'
    meta = dict(dataset_meta=dict(classes=tuple('abcdef')))
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    return str(path)


@pytest.fixture(scope='session')
def inferencer(checkpoint):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return WSOLInferencer(small_config(), checkpoint)


@pytest.fixture(scope='session')
def images(tmp_path_factory):
    """A folder of twelve images with blocks of noise, of different sizes."""
    folder, random = tmp_path_factory.mktemp('images'), np.random.default_rng(0)
    for number in range(12):
        blocks = random.integers(0, 256, (4, 4 + number % 3, 3), dtype=np.uint8)
        Image.fromarray(blocks.repeat(10, 0).repeat(10, 1)).save(folder / f'{number:02d}.png')
    return folder


@pytest.fixture(scope='session')
def content():
    """The bytes of all files in a folder, by their paths in it."""
    return lambda folder: {str(path.relative_to(folder)): path.read_bytes()
                           for path in folder.rglob('*') if path.is_file()}
