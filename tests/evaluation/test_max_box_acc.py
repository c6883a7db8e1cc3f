import json

import numpy as np
import pytest
import torch
from mmpretrain.registry import METRICS


def sample(label_map, gt_bboxes, ori_shape=(4, 6), img_shape=(4, 6), **fields):
    return dict(label_map=torch.tensor(label_map), gt_bboxes=np.array(gt_bboxes, np.float32),
                ori_shape=ori_shape, img_shape=img_shape, img_path='a.jpg', **fields)


def spot(x, y, value=1.):
    """A 6 x 4 map with one bright pixel and another of 0.5 in the last corner."""
    score_map = np.zeros((4, 6), np.float32)
    score_map[3, 5] = .5
    score_map[y, x] = value
    return score_map


def evaluate(samples, **options):
    metric = METRICS.build(dict(type='MaxBoxAcc', **options))
    for one in samples:
        metric.process(None, [one])
    return metric.evaluate(size=len(samples)), metric


def test_by_hand():
    """A single pixel's box is 2 x 2, against 2 x 2, 3 x 2 and 4 x 2: IoU 1, 2/3 and 1/2."""
    metrics, metric = evaluate([
        sample(spot(1, 1), [[1, 1, 2, 2]]),
        sample(spot(1, 1), [[1, 1, 3, 2]]),
        sample(spot(1, 1), [[1, 1, 4, 2]]),
        sample(spot(1, 1), [[5, 3, 5, 3]]),      # found below t = 0.5, by all contours only
    ], interval=.25)
    # two regions of area 0 below t = .5, where the last in raster order is the largest contour
    assert metric.curves == {
        'thresholds': [0, .25, .5, .75],
        'max_box_acc': [25, 25, 75, 75],
        'max_box_acc_v2_iou30': [100, 100, 75, 75],
        'max_box_acc_v2_iou50': [100, 100, 75, 75],
        'max_box_acc_v2_iou70': [50, 50, 25, 25],
    }
    assert metrics == {
        'max_box_acc': 75, 'max_box_acc_threshold': .5,
        'max_box_acc_v2_iou30': 100, 'max_box_acc_v2_iou30_threshold': 0,
        'max_box_acc_v2_iou50': 100, 'max_box_acc_v2_iou50_threshold': 0,
        'max_box_acc_v2_iou70': 50, 'max_box_acc_v2_iou70_threshold': 0,
        'max_box_acc_v2': 250 / 3,
    }


def test_truth_moves_from_the_original_image_to_the_input():
    # a third of the size: 1, 1, 2.97, 2.97, truncated
    moved = sample(spot(1, 1), [[3, 3, 8.9, 8.9]], ori_shape=(12, 18))
    assert evaluate([moved])[0]['max_box_acc_v2_iou70'] == 100
    moved['gt_bboxes'] *= 2
    assert evaluate([moved])[0]['max_box_acc'] == 0


def test_truth_in_the_frame_of_the_input():
    placed = sample(spot(1, 1), [[1, 1, 2, 2]], ori_shape=(400, 600))
    assert evaluate([placed], frame='input')[0]['max_box_acc'] == 100
    assert evaluate([placed])[0]['max_box_acc'] == 0


def test_map_is_resized_to_the_input():
    small = sample([[0., 0], [0, 1]], [[100, 100, 199, 199]], (200, 200), (50, 50))
    assert evaluate([small])[0]['max_box_acc_v2'] == 100


def test_curve_file(tmp_path):
    _, metric = evaluate([sample(spot(1, 1), [[1, 1, 2, 2]])], interval=.5,
                         curve_file=str(tmp_path / 'curve.json'))
    assert json.loads((tmp_path / 'curve.json').read_text()) == metric.curves


def test_errors_name_the_image():
    with pytest.raises(ValueError, match=r'a\.jpg: 1 of 24 values .* not finite'):
        evaluate([sample(spot(1, 1, np.nan), [[1, 1, 2, 2]])])
    with pytest.raises(ValueError, match=r'a\.jpg: There is no ground-truth box'):
        evaluate([sample(spot(1, 1), np.zeros((0, 4)))])
    with pytest.raises(ValueError, match=r"a\.jpg: the data sample has no 'label_map'"):
        evaluate([dict(sample(spot(1, 1), [[1, 1, 2, 2]]), label_map=None)])
    with pytest.raises(ValueError, match='unknown frame'):
        evaluate([], frame='crop')
