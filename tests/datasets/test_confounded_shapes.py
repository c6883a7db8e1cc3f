import time
from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmpretrain.registry import DATASETS
from torch.utils.data import DataLoader

import cicam_mm  # noqa: F401
from cicam_mm.datasets import ConfoundedShapes
from cicam_mm.datasets.confounded_shapes import draw_context

PIPELINE = [
    dict(type='LoadAnnotations', with_bbox=True, with_label=False),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', 'gt_mask')),
]


def images(data, indices):
    return np.stack([data.get_data_info(i)['img'] for i in indices])


def test_fields():
    data = DATASETS.build(dict(type='ConfoundedShapes', num_images=12))
    info = data.get_data_info(7)
    assert len(data) == 12 and len(data.metainfo['classes']) == len(data.metainfo['contexts']) == 6
    assert info['gt_label'] == 1 and info['sample_idx'] == 7
    assert info['img'].shape == (96, 96, 3) and info['img'].dtype == np.uint8
    assert info['img_shape'] == info['ori_shape'] == info['gt_mask'].shape == (96, 96)
    (instance, ) = info['instances']
    x0, y0, x1, y1 = map(int, instance['bbox'])
    assert info['gt_mask'].sum() == info['gt_mask'][y0:y1, x0:x1].sum() > 0
    assert instance['bbox_label'] == 1


def test_packed_sample():
    sample = ConfoundedShapes('test', num_images=6, pipeline=PIPELINE)[5]
    assert sample['inputs'].shape == (3, 96, 96)
    assert sample['data_samples'].gt_bboxes.shape == (1, 4)
    assert sample['data_samples'].gt_mask.shape == sample['data_samples'].ori_shape == (96, 96)
    assert sample['data_samples'].gt_label.tolist() == [5]


def test_a_picture_depends_on_seed_split_and_index_only():
    data = ConfoundedShapes(num_images=8)
    pictures = images(data, range(8))
    assert (images(ConfoundedShapes(num_images=30), range(8)) == pictures).all()
    assert (images(data, [7, 2]) == pictures[[7, 2]]).all()
    assert (images(ConfoundedShapes(num_images=8, indices=[5]), [0])[0] == pictures[5]).all()
    for other in (ConfoundedShapes(num_images=8, seed=1), ConfoundedShapes('test', num_images=8)):
        assert all((images(other, range(8)) != pictures).any(axis=(1, 2, 3)))


def test_another_rho_shows_the_same_objects():
    free, bound = (ConfoundedShapes(num_images=12, rho=rho) for rho in (0, 1))
    for i in range(12):
        first, second = free.get_data_info(i), bound.get_data_info(i)
        assert (first['gt_mask'] == second['gt_mask']).all()
        assert second['context'] == second['gt_label']
        assert (first['img'] == second['img']).all() == (first['context'] == second['context'])


def test_another_placement_shows_the_same_objects_elsewhere():
    anywhere, middle = (ConfoundedShapes(num_images=60, placement=p)
                        for p in ('anywhere', 'middle'))
    distances = []
    for i in range(60):
        first, second = anywhere.get_data_info(i), middle.get_data_info(i)
        assert first['context'] == second['context']
        distances.append([np.abs(np.mean(np.nonzero(info['gt_mask']), axis=1) - 47.5).max()
                          for info in (first, second)])
    assert np.mean(distances, axis=0)[0] > 2.5 * np.mean(distances, axis=0)[1]


def test_labels_of_scenes():
    patterns, scenes = (ConfoundedShapes(num_images=36, rho=0, label=label)
                        for label in ('pattern', 'scene'))
    assert len(scenes.metainfo['classes']) == 36
    for i in range(36):
        first, second = patterns.get_data_info(i), scenes.get_data_info(i)
        assert second['gt_label'] == second['instances'][0]['bbox_label'] == (
            6 * first['gt_label'] + first['context'])
        assert scenes.metainfo['classes'][second['gt_label']] == (
            f'{patterns.metainfo["classes"][first["gt_label"]]} on '
            f'{patterns.metainfo["contexts"][first["context"]]}')
        assert (first['img'] == second['img']).all()


def test_kept_pictures_are_those_drawn(monkeypatch):
    kept = ConfoundedShapes(num_images=6, keep_drawn=True)
    expected = images(ConfoundedShapes(num_images=6), range(6))
    assert (images(kept, range(6)) == expected).all()
    kept.get_data_info(2)['img'][:] = 0  # what a transform does to a sample stays with it
    kept.get_data_info(2)['gt_mask'][:] = 7
    monkeypatch.setattr('cicam_mm.datasets.confounded_shapes.draw_scene', None)
    assert (images(kept, range(6)) == expected).all()
    assert kept.get_data_info(2)['gt_mask'].max() == 1


@pytest.mark.parametrize('num_workers', [0, 2])
def test_workers_draw_the_same_pictures(num_workers):
    data = ConfoundedShapes(num_images=8, pipeline=PIPELINE)
    loader = DataLoader(data, batch_size=2, num_workers=num_workers, collate_fn=pseudo_collate)
    inputs = torch.cat([torch.stack(batch['inputs']) for batch in loader])
    assert (inputs.numpy() == images(data, range(8)).transpose(0, 3, 1, 2)).all()


@pytest.mark.parametrize('rho', [0, 0.5, 0.8, 1])
def test_share_of_own_contexts(rho):
    """The own context has probability rho + (1 - rho) / 6, any other (1 - rho) / 6."""
    rng = np.random.default_rng(0)
    shares = np.bincount([draw_context(2, rho, rng) for _ in range(6000)], minlength=6) / 6000
    expected = np.full(6, (1 - rho) / 6)
    expected[2] += rho
    np.testing.assert_allclose(shares, expected, atol=0.02)


def test_only_training_is_confounded():

    def own(**kwargs):
        data = ConfoundedShapes(num_images=300, **kwargs).load_data_list()
        assert set(Counter(info['gt_label'] for info in data).values()) == {50}
        return np.mean([info['gt_label'] == info['context'] for info in data])

    assert own(rho=0.8) == pytest.approx(0.8 + 0.2 / 6, abs=0.06)
    assert own(rho=0.8, split='test') == pytest.approx(1 / 6, abs=0.06)


@pytest.mark.parametrize('option, message', [
    (dict(split='val'), "'train' or 'test', not 'val'"),
    (dict(rho=1.2), r'in \[0, 1\], not 1.2'),
    (dict(num_images=0), 'at least 1, not 0'),
    (dict(label='context'), "unknown label 'context'; known are pattern, scene"),
    (dict(placement='left'), "unknown placement 'left'; known are anywhere, middle, by_class"),
])
def test_options_out_of_range(option, message):
    with pytest.raises(ValueError, match=message):
        ConfoundedShapes(**option)


def test_time_per_picture():
    data = ConfoundedShapes(num_images=100)
    start = time.perf_counter()
    images(data, range(100))
    milliseconds = 10 * (time.perf_counter() - start)
    print(f'{milliseconds:.1f} ms a picture')
    assert milliseconds < 100  # an order of magnitude of slack for busy machines
