"""The pool with controls and the statistics of pools, in docs/study/."""
import csv
import math
import pickle
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from controlled_pool import CONTEXTS, bump
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from pool_rows import (
    closeness_to_centre,
    correlations,
    describe_rows,
    judge_rows,
    own_and_other,
    shrink_mask,
    singular_energies,
)

from cicam_mm.checkpoints.release import read_release_pool
from cicam_mm.localization.localizer import CombinationalLocalizer

ROOT = Path(__file__).parents[2]
POOL = torch.tensor([[[1., 2]], [[3, 4]], [[8, 0]]])  # three classes, 1 x 2


@pytest.mark.parametrize('context, expected', [
    ('own', [[[3, 4]], [[8, 0]]]),
    ('other', [[[8, 0]], [[1, 2]]]),
    ('mean', [[[4, 2]], [[4, 2]]]),
    ('bump', [[[0, 0]], [[0, 0]]]),  # two cells lie equally far from the middle
    ('ones', [[[1, 1]], [[1, 1]]]),
    ('zeros', [[[0, 0]], [[0, 0]]]),
])
def test_contexts_by_hand(context, expected):
    assert CONTEXTS[context](POOL, torch.tensor([1, 2])).tolist() == expected


def test_bump_is_a_gaussian_with_mean_0_and_deviation_1():
    values = [[math.exp(-8 * (((i + .5) / 5 - .5)**2 + ((j + .5) / 4 - .5)**2)) for j in range(4)]
              for i in range(5)]
    mean = sum(map(sum, values)) / 20
    deviation = math.sqrt(sum((v - mean)**2 for row in values for v in row) / 20)
    expected = [[(v - mean) / deviation for v in row] for row in values]
    torch.testing.assert_close(bump(5, 4), torch.tensor(expected))


@pytest.mark.parametrize('options, training, testing', [
    (dict(), 'own', 'own'),
    (dict(context='mean'), 'mean', 'mean'),
    (dict(context='bump', bias=False), 'bump', 'bump'),
    (dict(test_context='zeros'), 'own', 'zeros'),  # the pool in training only
    (dict(context='zeros', test_context='own'), 'zeros', 'own'),  # in testing only
])
def test_enhance_reads_the_context(options, training, testing):
    """Eq. 8; the pool is fed, and trains what has a gradient."""
    pool = MODELS.build(dict(type='ControlledPool', num_classes=4, channels=3, size=(5, 6),
                             **options))
    pool.pool.normal_()
    pool.has_updater = True
    features, classes = torch.randn(2, 3, 5, 6), torch.tensor([1, 3])
    weight, bias = pool.projection.weight, pool.projection.bias
    for mode, context in ((True, training), (False, testing)):
        read = CONTEXTS[context](pool.pool, classes)
        attention = weight[:, classes, 0, 0].T[:, :, None, None] * read[:, None]
        if options.get('bias', True):
            attention = attention + bias[:, None, None]
        expected = features * (1 + attention)
        enhanced = pool.train(mode).enhance(features, classes)
        torch.testing.assert_close(enhanced, expected)
        enhanced.sum().backward()
    assert all(p.grad is not None for p in pool.parameters() if p.requires_grad)
    before = pool.pool.clone()
    pool.record(torch.randn(2, 5, 6), classes, classes)
    pool.apply_pending()
    assert not pool.pool.equal(before)


def test_mean_through_one_column_is_eq_6():
    """X with the mean of f(X, c_i) = X * Conv1x1(c_i) over all classes, whatever the class."""
    pool = MODELS.build(dict(type='ControlledPool', num_classes=4, channels=3, size=(5, 6),
                             context='mean', projection='shared'))
    pool.pool.normal_()
    features = torch.randn(2, 3, 5, 6)
    combined = [features * pool.projection(pool.pool[i][None, None]) for i in range(4)]
    torch.testing.assert_close(pool.enhance(features, torch.tensor([1, 3])),
                               features + sum(combined) / 4)


def test_statistics_by_hand():
    rising, hill = np.array([[1., 2, 3]]), np.array([[0., 3, 0]])  # orthogonal once centred
    found = correlations(np.stack([rising, hill]), np.stack([-2 * rising + 7, hill, rising * 0]))
    np.testing.assert_allclose(found, [[-1, 0, math.nan], [0, 1, math.nan]], atol=1e-12)
    # rows (3, 0) and (0, 4) are the singular vectors, with energies 9 and 16 of 25
    np.testing.assert_allclose(
        singular_energies(np.array([[[3., 0]], [[0, 4]]])), [16 / 25, 9 / 25])
    np.testing.assert_allclose(closeness_to_centre(1, 4), [[-1.5, -.5, -.5, -1.5]])
    own, other = own_and_other(np.array([[1., 4, 5], [6, 2, 7], [8, math.nan, 3]]))
    assert own == 2 and other == pytest.approx((4 + 5 + 6 + 7 + 8) / 5)
    mask = np.array([[1, 1, 0, 255], [1, 0, 0, 0]], np.uint8)  # 255: ignored
    np.testing.assert_allclose(shrink_mask(mask, (1, 2)), [[.75, 0]])


def test_rows_never_fed_take_no_part():
    pool = np.random.default_rng(0).normal(size=(3, 4, 4))
    padded = np.concatenate([pool, np.zeros((2, 4, 4))])
    assert describe_rows(padded) == describe_rows(pool)
    assert describe_rows(pool)['fed_rows'] == 3
    with pytest.raises(ValueError, match='1 of the 3 rows'):
        describe_rows(padded[2:])


@pytest.mark.parametrize('name, expected', [
    ('vgg16', dict(row_correlation=.92, row_correlation_deviation=.06, mean_row_correlation=.96,
                   mean_row_correlation_lowest=.82, energy_1=.92, energy_2=.04, energy_3=.02,
                   centre_correlation=.95)),
    ('inceptionV3', dict(row_correlation=.26, row_correlation_deviation=.44,
                         mean_row_correlation=.51, mean_row_correlation_lowest=-.61, energy_1=.43,
                         energy_2=.24, energy_3=.12, centre_correlation=.72)),
])
def test_released_pools_are_as_published_with_them(shared, name, expected):
    """The figures of the README beside them; 0.4348 and 0.2346 are 0.44 and 0.24 there."""
    pool = read_release_pool(shared / 'data' / 'released_pools' / f'mask_train_{name}_cub.pth')
    found = describe_rows(pool.numpy())
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=.006)
    assert found['fed_rows'] == 200


def corner(y, x):
    """4 x 4, high in one quarter; on 8 x 8 pixels that is half of each side."""
    values = np.zeros((4, 4), np.float32)
    values[2 * y:2 * y + 2, 2 * x:2 * x + 2] = 1
    return values


def sample(label, box, mask):
    meta = dict(img_shape=(8, 8), ori_shape=(8, 8), gt_bboxes=np.array([box]), gt_mask=mask)
    return DataSample(metainfo=meta).set_gt_label(label)


def test_what_rows_find_and_resemble():
    """Class 0 lies top left and its row says so; class 1 lies bottom right, its row top left."""
    pool = torch.from_numpy(np.stack([corner(0, 0), corner(0, 0), corner(1, 0)]))
    top_left, bottom_right = [0, 0, 4, 4], [4, 4, 8, 8]
    left, right = (corner(k, k).repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
                   for k in (0, 1))
    samples = [sample(0, top_left, left), sample(1, bottom_right, right),
               sample(0, top_left, left), sample(2, top_left, left)]
    found = judge_rows(pool, samples, CombinationalLocalizer())
    assert found['gt_known_loc_own'] == 50  # both of class 0
    assert found['gt_known_loc_other'] == 75  # row 1 for class 0, row 0 for class 2
    # a quarter against itself correlates with 1, with another quarter with -1/3
    assert found['foreground_own'] == pytest.approx((1 - 1 / 3 - 1 / 3) / 3)
    assert found['foreground_other'] == pytest.approx((-1 / 3 + 1 + 1 + 1 - 1 / 3 - 1 / 3) / 6)


def test_statistics_of_a_checkpoint_and_a_released_pool(monkeypatch, tmp_path):
    pool = torch.randn(6, 24, 24)
    torch.save(dict(state_dict={'head.pool.pool': pool, 'head.fc.weight': torch.zeros(6, 32)}),
               tmp_path / 'epoch_5.pth')
    (tmp_path / 'mask.pth').write_bytes(pickle.dumps(pool))
    (tmp_path / 'config.py').write_text(
        f"_base_ = '{ROOT}/configs/cicam_tiny_shapes.py'\n"
        'test_dataloader = dict(dataset=dict(num_images=12))\n')
    out = tmp_path / 'out'
    monkeypatch.setattr(sys, 'argv', list(map(str, [
        'pool_stats.py', tmp_path / 'epoch_5.pth', tmp_path / 'mask.pth', '--config',
        tmp_path / 'config.py', '--out', out])))
    runpy.run_path(str(ROOT / 'docs' / 'study' / 'pool_stats.py'), run_name='__main__')
    with open(out / 'pool_stats.csv', newline='') as file:
        first, second = csv.DictReader(file)
    assert first.pop('pool').endswith('epoch_5.pth') and second.pop('pool').endswith('mask.pth')
    assert first == second
    expected = describe_rows(pool.numpy())
    assert {key: float(first[key]) for key in expected} == pytest.approx(expected)
    assert {*first} - {*expected} == {'gt_known_loc_own', 'gt_known_loc_other',
                                      'gt_known_loc_mean', 'foreground_own', 'foreground_other'}
    for number in range(2):
        assert np.ptp(cv2.imread(str(out / f'pool_{number}.png'))) > 0
