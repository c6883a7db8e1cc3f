import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cicam_mm.evaluation.threshold_boxes import ThresholdBoxes

AROUND = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
BESIDE = [(-1, 0), (1, 0), (0, -1), (0, 1)]


def boxes_at(score_map, thresholds, multi_contour=False):
    """Sorted boxes at each threshold."""
    found = ThresholdBoxes(np.array(score_map), np.array(thresholds))
    boxes, owners = found.all_contours() if multi_contour else found.largest_contour()
    return [sorted(boxes[owners == cut].tolist()) for cut in found.cut_of]


def plain_boxes(score_map, threshold, multi_contour):
    """The same for one threshold, by flood filling and counting."""
    grey = np.floor(score_map * 255).astype(int)
    foreground = np.pad(grey > int(threshold * grey.max()), 1)
    regions = fill(foreground, AROUND)
    outside, *holes = fill(~foreground, BESIDE)
    if not regions:
        return [[0, 0, 0, 0]]
    if multi_contour:
        outlines = [bounds(region) for region in regions]
        outlines += [bounds(hole) + [-1, -1, 1, 1] for hole in holes]
    else:
        outlines = [bounds(max(regions, key=lambda region: (outlined_area(region), region[0])))]
    height, width = score_map.shape
    return sorted((np.minimum(box - 1, [width, height, width - 1, height - 1])).tolist()
                  for box in outlines)


def fill(mask, neighbours):
    """Connected pixels (y, x) of a mask, each region sorted in raster order."""
    left, regions = {tuple(pixel) for pixel in np.argwhere(mask).tolist()}, []
    while left:
        stack = [min(left)]
        left.remove(stack[0])
        region = []
        while stack:
            y, x = stack.pop()
            region.append((y, x))
            reached = {(y + dy, x + dx) for dy, dx in neighbours} & left
            left -= reached
            stack.extend(reached)
        regions.append(sorted(region))
    return regions


def bounds(region):
    """x0, y0, x1, y1 with exclusive ends."""
    y, x = np.transpose(region)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])


def outlined_area(region):
    """Area of the polygon through the centres of a region's outermost pixels.

    It is that of the region with all it surrounds filled in, where a square of four pixels
    counts 1 and a triangle of three 1/2.
    """
    mask = np.zeros(np.max(region, axis=0) + 2, bool)
    mask[tuple(np.transpose(region))] = True
    outside = fill(~mask, BESIDE)[0]
    mask[:] = True
    mask[tuple(np.transpose(outside))] = False
    corners = sum(mask[dy:mask.shape[0] - 1 + dy, dx:mask.shape[1] - 1 + dx].astype(int)
                  for dy in (0, 1) for dx in (0, 1))
    return np.sum(corners == 4) + np.sum(corners == 3) / 2


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
def test_equal_to_flood_filling(score_map, multi_contour):
    thresholds = np.arange(0, 1, .11)
    assert boxes_at(score_map, thresholds, multi_contour) == [
        plain_boxes(score_map, threshold, multi_contour) for threshold in thresholds]
