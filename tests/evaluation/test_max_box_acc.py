import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mmpretrain.registry import METRICS

from cicam_lite.regions import largest_contour
from cicam_mm.evaluation.max_box_acc import (
    best_ious,
    max_box_accuracy,
    scale_boxes,
    score_thresholds,
)


def test_boxes_are_scaled_and_truncated():
    # an image 10 wide and 20 high, resized to 35 x 10: 3.5, 1, 14, 1.5
    scaled = scale_boxes([[1, 2, 4, 3]], (20, 10), (10, 35))
    np.testing.assert_array_equal(scaled, [[3, 1, 14, 1]])


def test_scaling_multiplies_first():
    # 3 * 224 / 7 is 96, but 3 / 7 * 224 is 95.99999999999999
    assert scale_boxes([3, 0, 3, 0], (7, 7), (224, 224))[0].tolist() == [96, 0, 96, 0]


def test_thresholds_are_the_references():
    assert len(score_thresholds()) == 1000 and len(score_thresholds(.01)) == 100
    assert score_thresholds()[569] == 0.5690000000000001


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


def test_object_of_zero_area_is_a_pixel():
    score_map = np.zeros((9, 9))
    score_map[8, 8] = 1               # the box of the last pixel is capped to it
    assert (best_ious(score_map, [[8, 8, 8, 8]], np.array([0])) == 1).all()


def test_maximum_is_over_the_data_set():
    accuracy, threshold, curve = max_box_accuracy(
        np.array([1, 3, 3, 0]), 4, np.array([0, .1, .2, .3]))
    assert (accuracy, threshold) == (75, .1)
    assert curve.tolist() == [25, 75, 75, 0]


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


def test_the_sample_tells_the_frame():
    """A box found on a crop and on the whole image, of three times the size; the same box."""
    on_crop, on_image = (
        sample(spot(1, 1), [box], ori_shape=(12, 18), box_frame=frame)
        for frame, box in (('input', [1, 1, 2, 2]), ('original', [3, 3, 8.9, 8.9])))
    assert evaluate([on_crop, on_image])[0]['max_box_acc_v2_iou70'] == 100
    assert evaluate([on_crop], frame='input')[0]['max_box_acc_v2_iou70'] == 100


def test_map_is_resized_to_the_input():
    small = sample([[0., 0], [0, 1]], [[100, 100, 199, 199]], (200, 200), (50, 50))
    assert evaluate([small])[0]['max_box_acc_v2'] == 100


def test_errors_name_the_image():
    with pytest.raises(ValueError, match=r'a\.jpg: 1 of 24 values .* not finite'):
        evaluate([sample(spot(1, 1, np.nan), [[1, 1, 2, 2]])])
    with pytest.raises(ValueError, match=r'a\.jpg: There is no ground-truth box'):
        evaluate([sample(spot(1, 1), np.zeros((0, 4)))])
    with pytest.raises(ValueError, match=r"a\.jpg: the data sample has no 'label_map'"):
        evaluate([dict(sample(spot(1, 1), [[1, 1, 2, 2]]), label_map=None)])
    told = sample(spot(1, 1), [[1, 1, 2, 2]], box_frame='input')
    with pytest.raises(ValueError, match=r"a\.jpg: boxes are in pixels of the input image, but .*"
                                         "frame='original'; omit frame"):
        evaluate([told], frame='original')
    with pytest.raises(ValueError, match='unknown frame'):
        evaluate([], frame='crop')


edge = st.integers(0, 50)
image = st.fixed_dictionaries(dict(
    label_map=arrays(np.float64, (4, 5), elements=st.integers(0, 6)),
    gt_bboxes=st.lists(st.tuples(edge, edge, edge, edge).map(
        lambda b: (*np.minimum(b[:2], b[2:]), *np.maximum(b[:2], b[2:]))), min_size=1, max_size=3),
    ori_shape=st.tuples(st.integers(51, 70), st.integers(51, 70))))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(image, min_size=1, max_size=4))
def test_equal_to_a_contour_search_at_each_threshold(images):
    thresholds, size = np.arange(0, 1, .1), (17, 22)
    right = {name: np.zeros(10) for name in ('max_box_acc', 'iou30', 'iou50', 'iou70')}
    for one in images:
        truths = [plain_truth(box, one['ori_shape'], size) for box in one['gt_bboxes']]
        grey = plain_grey(one['label_map'], size)
        for t, threshold in enumerate(thresholds):
            largest, *boxes = contour_boxes(grey > int(threshold * grey.max()))
            right['max_box_acc'][t] += best_iou([largest], truths) >= .5
            for percent in (30, 50, 70):
                right[f'iou{percent}'][t] += best_iou(boxes, truths) >= percent / 100
    metrics, metric = evaluate([sample(img_shape=size, **one) for one in images], interval=.1)
    accuracy = {name: 100 * n / len(images) for name, n in right.items()}
    for name, curve in accuracy.items():
        full_name = name if name == 'max_box_acc' else f'max_box_acc_v2_{name}'
        assert metric.curves[full_name] == pytest.approx(curve.tolist())
        assert metrics[full_name] == pytest.approx(curve.max())
        assert metrics[f'{full_name}_threshold'] == thresholds[curve.argmax()]
    assert metrics['max_box_acc_v2'] == pytest.approx(
        np.mean([accuracy[f'iou{percent}'].max() for percent in (30, 50, 70)]))


def plain_truth(box, ori_shape, size):
    return [int(x * size[1 - i % 2] / ori_shape[1 - i % 2]) for i, x in enumerate(box)]


def plain_grey(label_map, size):
    resized = cv2.resize(label_map, size[::-1], interpolation=cv2.INTER_CUBIC)
    resized = resized - resized.min()
    return np.trunc(resized / (resized.max() or 1) * 255).astype(np.uint8)


def contour_boxes(foreground):
    """The box of the largest contour, then those of all."""
    contours, _ = cv2.findContours(
        foreground.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return [[0, 0, 0, 0]] * 2
    bottom, right = np.array(foreground.shape) - 1
    x0, y0, x1, y1 = largest_contour(foreground)
    bounds = [(x0, y0, x1 - x0, y1 - y0), *map(cv2.boundingRect, contours)]
    return [[x, y, min(x + w, right), min(y + h, bottom)] for x, y, w, h in bounds]


def best_iou(boxes, truths):
    def pixels(box):
        return {(x, y) for x in range(box[0], box[2] + 1) for y in range(box[1], box[3] + 1)}
    return max(len(pixels(box) & pixels(truth)) / len(pixels(box) | pixels(truth))
               for box in boxes for truth in truths)
