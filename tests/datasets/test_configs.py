"""The data set part of the configs, as a Runner would build it."""
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import TRANSFORMS

import cicam_mm  # noqa: F401

FOLDER = Path(__file__).parents[2] / 'configs/_base_/datasets'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmpretrain')


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.py')), ids=lambda path: path.stem)
def test_structure(path):
    cfg = Config.fromfile(path)
    loaders = [name for name in LOADERS if name in cfg]
    assert len(loaders) > 1 and cfg.val_evaluator == cfg.test_evaluator
    assert cfg.data_preprocessor.num_classes in (2, 6, 10, 50, 100, 200, 1000)
    for name in loaders:
        dataset = cfg[name].dataset
        assert cfg[name].num_workers > 0
        assert (dataset.pipeline[0].type == 'SeedPerSample') == (name == 'train_dataloader')
        assert dataset.get('test_mode', False) == (name != 'train_dataloader')
        assert all(TRANSFORMS.build(transform) for transform in dataset.pipeline)


def test_cub10_batches(shared, monkeypatch):
    monkeypatch.setenv('CICAM_CUB10', str(shared / 'data/cub10'))
    cfg = Config.fromfile(FOLDER / 'cub10.py')
    for name, length in zip(LOADERS, (300, 243, 243), strict=True):
        cfg[name].update(num_workers=0, persistent_workers=False, batch_size=3)
        loader = Runner.build_dataloader(cfg[name], seed=0)
        assert len(loader.dataset) == length
        batch = next(iter(loader))
        assert [image.shape for image in batch['inputs']] == 3 * [(3, 224, 224)]
    # the test view keeps boxes in original pixels
    assert batch['data_samples'][0].gt_bboxes.tolist() == [[60, 27, 385, 331]]
    assert batch['data_samples'][0].img_shape == (224, 224)
