from copy import deepcopy
from pathlib import Path

import pytest
from mmengine.config import Config
from mmpretrain.registry import DATASETS

from cicam_mm.evaluation.held_out import images_of, loader_of_split

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.fixture
def cfg():
    cfg = Config.fromfile(CONFIGS / '_base_' / 'datasets' / 'confounded_shapes.py')
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.num_images = 3
    return cfg


def test_the_test_images_are_taken_only_if_asked_for(cfg):
    assert loader_of_split(cfg, 'val') == cfg.val_dataloader
    cfg.val_dataloader = deepcopy(cfg.test_dataloader)
    cfg.val_dataloader.dataset.update(num_images=2, pipeline=[])  # not all, and in another view
    with pytest.raises(ValueError, match='^2 of the 2 .* test images.*--split test') as error:
        loader_of_split(cfg, 'val')
    assert '\n' not in str(error.value)
    assert loader_of_split(cfg, 'test') == cfg.test_dataloader
    cfg.val_dataloader = None
    with pytest.raises(ValueError, match='the config has no val_dataloader'):
        loader_of_split(cfg, 'val')


def test_images_with_a_path_are_told_apart_by_it(tmp_path):
    for name in ('one/a.png', 'one/b.png', 'two/b.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'link').symlink_to('one')
    found, same, linked, other = (images_of(DATASETS.build(dict(
        type='CustomDataset', with_label=False, data_root=str(tmp_path), data_prefix=prefix)))
        for prefix in ('one', '../' + tmp_path.name + '/one', 'link', 'two'))
    assert len(found) == 2 and found == same == linked and not found & other


def test_training_images_come_with_the_pipeline_of_testing(cfg):
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset)
    before = cfg.to_dict()
    loader = loader_of_split(cfg, 'train')
    dataset = loader.dataset.dataset
    assert dataset.split == 'train' and dataset.test_mode
    assert dataset.pipeline == cfg.test_dataloader.dataset.pipeline
    assert loader.batch_size == cfg.test_dataloader.batch_size
    assert not loader.sampler.shuffle
    assert cfg.to_dict() == before


def test_cub10_can_hold_a_fifth_of_the_training_images_out(shared, monkeypatch):
    monkeypatch.setenv('CICAM_CUB10', str(shared / 'data/cub10'))
    cfg = Config.fromfile(CONFIGS / 'cicam_vgg16_cub10_held-out.py')
    loader_of_split(cfg, 'val')
    train, val = (DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val'))
    assert (len(train), len(val)) == (240, 60) and not images_of(train) & images_of(val)
    assert {val.get_data_info(i)['gt_label'] for i in range(60)} == set(range(10))
