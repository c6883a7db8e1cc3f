import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from cicam_mm.evaluation.pool_statistics import judge_rows, mean_by_class, shrink_mask
from cicam_mm.localization import CombinationalLocalizer


def sample(label, box, mask=None):
    meta = dict(img_shape=(8, 8), ori_shape=(8, 8), gt_bboxes=np.array([box]))
    if mask is not None:
        meta['gt_mask'] = mask
    return DataSample(metainfo=meta).set_gt_label(label)


def corner(y, x):
    """4 x 4, high in one quarter; on 8 x 8 pixels that is half of each side."""
    values = np.zeros((4, 4), np.float32)
    values[2 * y:2 * y + 2, 2 * x:2 * x + 2] = 1
    return values


def mask_of(y, x):
    return corner(y, x).repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)


def test_what_rows_find_and_resemble():
    """Class 0 lies top left and its row says so; class 1 lies bottom right, its row top left."""
    pool = torch.from_numpy(np.stack([corner(0, 0), corner(0, 0), corner(1, 0)]))
    top_left, bottom_right = [0, 0, 4, 4], [4, 4, 8, 8]
    samples = [sample(0, top_left, mask_of(0, 0)), sample(1, bottom_right, mask_of(1, 1)),
               sample(0, top_left, mask_of(0, 0)), sample(2, top_left, mask_of(0, 0))]
    found = judge_rows(pool, samples, CombinationalLocalizer())
    assert found['gt_known_loc_own'] == 50  # both of class 0
    assert found['gt_known_loc_other'] == 75  # row 1 for class 0, row 0 for class 2
    # a quarter against itself correlates with 1, with another quarter with -1/3
    assert found['foreground_own'] == pytest.approx((1 - 1 / 3 - 1 / 3) / 3)
    assert found['foreground_other'] == pytest.approx((-1 / 3 + 1 + 1 + 1 - 1 / 3 - 1 / 3) / 6)


def test_without_masks_no_likeness():
    found = judge_rows(torch.randn(2, 4, 4), [sample(0, [0, 0, 4, 4])], CombinationalLocalizer())
    assert {*found} == {'gt_known_loc_own', 'gt_known_loc_other', 'gt_known_loc_mean'}


def test_shrink_mask():
    mask = np.array([[1, 1, 0, 255], [1, 0, 0, 0]], np.uint8)  # 255: ignored
    np.testing.assert_allclose(shrink_mask(mask, (1, 2)), [[.75, 0]])


def test_mean_by_class():
    maps = np.array([[[1., 2]], [[3, 4]], [[5, 6]]])
    np.testing.assert_allclose(
        mean_by_class(maps, np.array([0, 2, 0]), 3), [[[3, 4]], [[0, 0]], [[3, 4]]])
