import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cicam_mm.evaluation.threshold_boxes import ThresholdBoxes


def boxes_at(score_map, thresholds, multi_contour=False):
    """Sorted boxes at each threshold."""
    found = ThresholdBoxes(np.array(score_map), np.array(thresholds))
    boxes, owners = found.all_contours() if multi_contour else found.largest_contour()
    return [sorted(boxes[owners == cut].tolist()) for cut in found.cut_of]


def plain_boxes(score_map, threshold, multi_contour):
    """The same for one threshold, by a search of its contours."""
    grey = (score_map * 255).astype(np.uint8)
    above = (grey > int(threshold * grey.max())).astype(np.uint8)
    contours, _ = cv2.findContours(above, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return [[0, 0, 0, 0]]
    if not multi_contour:  # of equal areas the last one in raster order
        contours = [max(contours, key=lambda each: (cv2.contourArea(each), *each[0, 0, ::-1]))]
    bounds = np.array([cv2.boundingRect(contour) for contour in contours])
    height, width = score_map.shape
    ends = np.minimum(bounds[:, :2] + bounds[:, 2:], [width - 1, height - 1])
    return sorted(np.concatenate([bounds[:, :2], ends], axis=1).tolist())


def test_all_contours_hold_the_borders_of_holes():
    ring = np.zeros((7, 7))
    ring[1:6, 1:6] = 1
    ring[2:5, 2:5] = 0
    ring[3, 3] = 1
    assert boxes_at(ring, [0], multi_contour=True) == [
        [[1, 1, 6, 6], [1, 1, 6, 6], [3, 3, 4, 4]]]
    assert boxes_at(ring, [0]) == [[[1, 1, 6, 6]]]


@pytest.mark.parametrize('score_map', [
    np.full((2, 2), np.nan), np.array([[0, 1.01]]), np.array([[-.01, 1]]), np.zeros((1, 2, 2))])
def test_maps_out_of_range_are_an_error(score_map):
    with pytest.raises(ValueError, match=r'must be \(h, w\) with values in \[0, 1\]'):
        ThresholdBoxes(score_map, np.array([0]))


def levels(count):
    """Small maps of so many values: few make plateaus, rings and ties."""
    return arrays(np.int64, array_shapes(min_dims=2, max_dims=2, max_side=9),
                  elements=st.integers(0, count - 1)).map(lambda values: values / (count - 1))


smooth = arrays(np.float64, (6, 6), elements=st.floats(0, 1, width=16)).map(
    lambda values: cv2.resize(values, (23, 19), interpolation=cv2.INTER_LINEAR))


@settings(deadline=None, derandomize=True)
@given(st.one_of(levels(2), levels(4), levels(200), smooth), st.booleans())
def test_equal_to_a_search_of_contours(score_map, multi_contour):
    thresholds = np.arange(0, 1, .11)
    assert boxes_at(score_map, thresholds, multi_contour) == [
        plain_boxes(score_map, threshold, multi_contour) for threshold in thresholds]
