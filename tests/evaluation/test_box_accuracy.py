import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


@pytest.mark.parametrize('interval', [0, 1, -.1])
def test_interval_out_of_range_is_an_error(interval):
    with pytest.raises(ValueError, match=r'must be in \(0, 1\)'):
        score_thresholds(interval)


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


def test_no_ground_truth_is_an_error():
    with pytest.raises(ValueError, match='no ground-truth box'):
        best_ious(np.eye(3), [], np.array([0]))


def test_maximum_is_over_the_data_set():
    accuracy, threshold, curve = max_box_accuracy(
        np.array([1, 3, 3, 0]), 4, np.array([0, .1, .2, .3]))
    assert (accuracy, threshold) == (75, .1)
    assert curve.tolist() == [25, 75, 75, 0]


corner = st.integers(0, 11)
boxes = st.lists(st.tuples(corner, corner, corner, corner), min_size=1, max_size=3).map(
    lambda four: [(*np.minimum(b[:2], b[2:]), *np.maximum(b[:2], b[2:])) for b in four])


@settings(deadline=None, derandomize=True)
@given(boxes, boxes)
def test_equal_to_counting_pixels(objects, truths):
    """Rectangles one around the other at falling scores: one contour of a known box at each."""
    score_map, expected = np.zeros((14, 14)), []
    outer = objects[0]
    for number, box in enumerate(objects):
        x0, y0, x1, y1 = outer = (*np.minimum(outer[:2], box[:2]), *np.maximum(outer[2:], box[2:]))
        region = score_map[y0:y1 + 1, x0:x1 + 1]
        region[region == 0] = 1 - number / 4
        found = covered((x0, y0, x1 + 1, y1 + 1))
        expected.append(max(np.sum(found & covered(truth)) / np.sum(found | covered(truth))
                            for truth in truths))
    thresholds = np.array([.9, .7, .4][:len(objects)])
    for ious in best_ious(score_map, truths, thresholds):
        np.testing.assert_allclose(ious, expected)


def covered(box):
    x0, y0, x1, y1 = box
    mask = np.zeros((14, 14), bool)
    mask[y0:y1 + 1, x0:x1 + 1] = True
    return mask
