import numpy as np
import pytest
import torch
from mmpretrain.registry import METRICS

from cicam_mm.evaluation.max_box_acc import best_ious, scale_boxes


def test_boxes_are_scaled_and_truncated():
    # an image 10 wide and 20 high, resized to 35 x 10: 3.5, 1, 14, 1.5
    assert scale_boxes([[1, 2, 4, 3]], (20, 10), (10, 35)).tolist() == [[3, 1, 14, 1]]
    # 3 * 224 / 7 is 96, but 3 / 7 * 224 is 95.99999999999999
    assert scale_boxes([3, 0, 3, 0], (7, 7), (224, 224))[0].tolist() == [96, 0, 96, 0]


def test_best_of_the_boxes_and_truths():
    score_map = np.zeros((8, 12))
    score_map[1:5, 1:5] = 1           # the box 1, 1, 5, 5: 25 pixels
    score_map[6, 9] = .6              # up to t = 0.5 (153 is above 127) the box 9, 6, 10, 7
    largest, best = best_ious(score_map, [[9, 6, 10, 7], [1, 1, 5, 9]], np.array([0, .5, .6]))
    np.testing.assert_array_equal(largest, [25 / 45] * 3)
    np.testing.assert_array_equal(best, [1, 1, 25 / 45])


def test_constant_map_only_finds_objects_in_the_corner():
    ious = best_ious(np.zeros((9, 9)), [[0, 0, 1, 1]], np.array([0, .5]))
    np.testing.assert_array_equal(ious, np.full((2, 2), 1 / 4))
    assert not best_ious(np.zeros((9, 9)), [[1, 1, 2, 2]], np.array([0, .5])).any()


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
    # the last one is found below t = 0.5, by all contours only
    metrics, metric = evaluate([sample(spot(1, 1), [box]) for box in (
        [1, 1, 2, 2], [1, 1, 3, 2], [1, 1, 4, 2], [5, 3, 5, 3])], interval=.25)
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


def test_the_sample_tells_the_frame():
    """A box on a crop, and on the whole image of three times the size: 1, 1, 2.97, truncated."""
    on_crop, on_image = (
        sample(spot(1, 1), [box], ori_shape=(12, 18), box_frame=frame)
        for frame, box in (('input', [1, 1, 2, 2]), ('original', [3, 3, 8.9, 8.9])))
    assert evaluate([on_crop, on_image])[0]['max_box_acc_v2_iou70'] == 100
    assert evaluate([on_crop], frame='input')[0]['max_box_acc_v2_iou70'] == 100
    on_image['gt_bboxes'] *= 2
    assert evaluate([on_image])[0]['max_box_acc'] == 0


def test_map_is_resized_to_the_input():
    small = sample([[0., 0], [0, 1]], [[100, 100, 199, 199]], (200, 200), (50, 50))
    assert evaluate([small])[0]['max_box_acc_v2'] == 100


def test_errors_name_the_image():
    with pytest.raises(ValueError, match=r'a\.jpg: 1 of 24 values .* not finite'):
        evaluate([sample(spot(1, 1, np.nan), [[1, 1, 2, 2]])])
    with pytest.raises(ValueError, match=r"a\.jpg: the data sample has no 'label_map'"):
        evaluate([dict(sample(spot(1, 1), [[1, 1, 2, 2]]), label_map=None)])
    told = sample(spot(1, 1), [[1, 1, 2, 2]], box_frame='input')
    with pytest.raises(ValueError, match=r"a\.jpg: boxes are in pixels of the input image, but .*"
                                         "frame='original'; omit frame"):
        evaluate([told], frame='original')
    with pytest.raises(ValueError, match='unknown frame'):
        evaluate([], frame='crop')
