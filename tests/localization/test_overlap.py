import numpy as np
import pytest

from cicam_mm.localization.overlap import box_iou, intersection_over_box, intersection_over_truth


def test_counts_inclusive_pixels():
    # 5 x 5 and 2 x 5 pixels, which share 2 x 4
    assert box_iou([1, 2, 5, 6], [3, 1, 4, 5]) == 8 / 27
    assert intersection_over_box([1, 2, 5, 6], [3, 1, 4, 5]) == 8 / 25
    assert intersection_over_truth([1, 2, 5, 6], [3, 1, 4, 5]) == 8 / 10


def test_every_box_with_every_truth():
    boxes, truths = [[0, 0, 1, 1], [1, 1, 2, 2], [5, 5, 6, 6]], [[0, 0, 1, 1], [0, 0, 3, 3]]
    np.testing.assert_array_equal(box_iou(boxes, truths), [[1, 1 / 4], [1 / 7, 1 / 4], [0, 0]])
    np.testing.assert_array_equal(intersection_over_truth(boxes, truths)[:, 1], [1 / 4, 1 / 4, 0])
    np.testing.assert_array_equal(intersection_over_box(boxes, truths)[:, 1], [1, 1, 0])


def test_box_of_zero_area_is_a_pixel():
    assert box_iou([3, 3, 3, 3], [3, 3, 3, 3]) == 1
    assert box_iou([3, 3, 3, 3], [3, 3, 4, 4]) == 1 / 4


@pytest.mark.parametrize('measure', [box_iou, intersection_over_box, intersection_over_truth])
def test_box_without_pixels_overlaps_nothing(measure):
    assert measure([3, 3, 2, 2], [3, 3, 2, 2]) == 0
    assert measure([5, 5, 1, 1], [0, 0, 9, 9]) == 0


def test_no_boxes():
    assert box_iou([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert box_iou([[0, 0, 1, 1]], np.zeros((0, 4))).shape == (1, 0)


@pytest.mark.parametrize('truths, message', [
    (np.zeros((2, 3)), r'shape \(k, 4\).* have \(2, 3\)'), ([[0, 0, 1, np.nan]], 'must be finite'),
    ([[0, 0, 1, np.inf]], 'must be finite')])
def test_what_is_not_a_box_is_refused(truths, message):
    with pytest.raises(ValueError, match=message):
        box_iou(np.zeros((2, 4)), truths)
