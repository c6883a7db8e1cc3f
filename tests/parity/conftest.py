import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS

import cicam_mm  # noqa: F401

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='session')
def release(shared):
    """Functions that make weights, pool and images from a seed."""
    return SimpleNamespace(**runpy.run_path(str(shared / 'parity' / 'release_state_dict.py')))


@pytest.fixture(scope='session')
def reference(release_reference_path):
    """What the released model computes, with the seed, class count and batch it did so for."""
    with np.load(release_reference_path) as file:
        return dict(file)


@pytest.fixture(scope='session')
def checkpoint(release, reference, tmp_path_factory):
    """The released files of the reference's seed, converted by the command line."""
    folder = tmp_path_factory.mktemp('release')
    release.write_release(folder, int(reference['seed']), int(reference['num_classes']))
    net, pool, out = (
        folder / name
        for name in ('net_train_vgg16_cub.pth', 'mask_train_vgg16_cub.pth', 'converted.pth'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', ['convert_release.py', *map(str, (net, '--pool', pool, out))])
        runpy.run_path(str(ROOT / 'tools' / 'convert_release.py'), run_name='__main__')
    return out


@pytest.fixture(scope='module')
def model(checkpoint, reference):
    cfg = Config.fromfile(ROOT / 'configs' / 'cicam_vgg16_cub_release.py').model
    cfg.head.num_classes = int(reference['num_classes'])
    model = MODELS.build(cfg)
    load_checkpoint(model, str(checkpoint), map_location='cpu', strict=True)
    return model
