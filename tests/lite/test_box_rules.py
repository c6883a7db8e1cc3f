import cv2
import matplotlib
import numpy as np
import pytest

from cicam_lite import BOX_RULES, find_box, find_boxes, get_box_rule, to_original
from cicam_lite.foreground import CUBEHELIX_GREY
from cicam_lite.resizing import normalize_map, resize
from cicam_mm.evaluation.pooled_metric import judged_map
from cicam_mm.evaluation.threshold_boxes import ThresholdBoxes


def canvas(height, width, *blocks):
    """A map of zeros with blocks (x0, y0, x1, y1, value)."""
    score_map = np.zeros((height, width), np.float32)
    for x0, y0, x1, y1, value in blocks:
        score_map[y0:y1, x0:x1] = value
    return score_map


# 0.2 around 0.3 around 1, on 10 x 10
STEPS = (0, 0, 9, 9, .2), (1, 1, 7, 7, .3), (1, 1, 3, 3, 1.)
# 12 values of 100 (of 255) and 8 of 255 in 100, so that the 90th percentile is 100
TENTHS = (0, 0, 5, 4, 100 / 255), (0, 0, 5, 1, 0), (0, 0, 1, 4, 0), (6, 6, 10, 8, 1)
# 1.2 of 255 is 1 of 255 in 8 bit, and in cubehelix the colour (1, 0, 1), whose grey value
# .299 R + .587 G + .114 B = .4 is rounded to 0
FAINT = (0, 0, 4, 4, 1.2 / 255), (6, 6, 8, 8, 1)
# 1 on a 4 x 3 block, 0.6 on a single pixel, 0.3 on a line of 7 pixels, each apart
APART = (1, 1, 5, 4, 1.), (7, 5, 8, 6, .6), (2, 8, 9, 9, .3)


@pytest.mark.parametrize('rule, theta, size, blocks, box', [
    # the largest box, not the most pixels: a frame of 16 pixels around 25, and a block of 20
    ('ci_cam', 0, 12, [(1, 1, 6, 6, 1), (2, 2, 5, 5, 0), (7, 7, 12, 11, 1)], [1, 1, 6, 6]),
    # of equal boxes the first in raster order
    ('ci_cam', 0, 9, [(6, 0, 8, 2, 1), (0, 1, 2, 3, 1), (3, 6, 5, 8, 1)], [6, 0, 8, 2]),
    # regions do not join at corners
    ('ci_cam', 0, 8, [(0, 0, 3, 3, 1), (3, 3, 5, 5, 1)], [0, 0, 3, 3]),
    # the second cut is the mean of what theta keeps: (4 + 32 * .3 + 45 * .2) / 100 = .226,
    # (4 + 32 * .3) / 100 = .136, and .04, where only the ones are left
    ('ci_cam', 0, 10, STEPS, [1, 1, 7, 7]), ('ci_cam', .25, 10, STEPS, [1, 1, 7, 7]),
    ('ci_cam', .5, 10, STEPS, [1, 1, 3, 3]),
    # contour areas go through pixel centres: 4 x 4 block 9, row of 10 pixels 0
    ('wsoleval', .2, 12, [(8, 8, 12, 12, 1), (0, 0, 10, 1, 1)], [8, 8, 11, 11]),
    # 0.5 becomes 127, the cut int(0.5 * 255) = 127: not above
    ('wsoleval', .5, 10, [(1, 1, 5, 5, .5), (6, 6, 8, 9, 1.)], [6, 6, 8, 9]),
    # of equal contours the last
    ('ts_cam', .2, 9, [(0, 0, 3, 3, 1), (5, 0, 8, 3, 1)], [5, 0, 8, 3]),
    ('danet', .5, 8, [(1, 1, 3, 3, 1), (5, 5, 6, 6, .5)], [1, 1, 5, 5]),  # .5 equals theta
    ('danet', .51, 8, [(1, 1, 3, 3, 1), (5, 5, 6, 6, .5)], [1, 1, 2, 2]),
    # cuts at 90, at 100, and at 229
    ('rethinking', .9, 10, TENTHS, [1, 1, 5, 4]), ('rethinking', 1., 10, TENTHS, [6, 6, 10, 8]),
    ('ts_cam', .9, 10, TENTHS, [6, 6, 10, 8]),
    ('ts_cam', 0, 8, FAINT, [0, 0, 4, 4]), ('adl', 0, 8, FAINT, [6, 6, 8, 8]),
    # a single bad value makes the map bad
    ('ci_cam', 0, 8, [(1, 1, 3, 3, 1), (5, 5, 6, 6, np.nan)], [0, 0, 8, 8]),
    # largest contour area: the block's 3 x 2, those of pixel and line are 0
    *((rule, .2, 12, APART, [1, 1, 5, 4]) for rule in ('wsoleval', 'ts_cam', 'adl', 'rethinking')),
    # all foreground, last pixel included
    *((rule, theta, 12, APART, box) for rule in ('eil', 'danet') for theta, box in (
        (.2, [1, 1, 8, 8]), (.4, [1, 1, 7, 5]), (.8, [1, 1, 4, 3]))),
    # ends at the border
    *((rule, .2, 12, [(8, 8, 12, 12, 1)], [8, 8, 12, 12])
      for rule in ('ts_cam', 'adl', 'rethinking')),
    *((rule, .2, 12, [(8, 8, 12, 12, 1)], [8, 8, 11, 11])
      for rule in ('wsoleval', 'eil', 'danet')),
])
def test_by_hand(rule, theta, size, blocks, box):
    assert find_box(canvas(size, size, *blocks), get_box_rule(rule), theta).tolist() == box


@pytest.mark.parametrize('rule', BOX_RULES)
@pytest.mark.parametrize('value', [0, 3, np.nan, np.inf])
def test_map_without_foreground(rule, value):
    expected = dict(wsoleval_bicubic=[0, 0, 0, 0], ts_cam=[0, 0, 1, 1], adl=[0, 0, 1, 1])
    maps = np.full((1, 6, 8), value, np.float32)
    assert find_boxes(maps, get_box_rule(rule), .1, (6, 8)).tolist() == [
        expected.get(rule, [0, 0, 8, 6])]


@pytest.mark.parametrize('rule', BOX_RULES)
def test_sums_of_the_largest_values_do_not_overflow(rule):
    maps = canvas(12, 12, (2, 3, 9, 7, 1), (4, 4, 6, 6, 1.5))[None]
    boxes = [find_boxes(scaled, get_box_rule(rule), .2, (12, 12)).tolist()
             for scaled in (maps, maps * np.float32(2e38))]
    assert boxes[0] == boxes[1]


@pytest.mark.parametrize('row, theta, shapes, box', [
    # bilinear from [0, 4] to the four pixels of the original image: 0, 1, 3, 4
    ([0, 4], .75, [(2, 2), (1, 4)], [2, 0, 3, 0]), ([0, 4], .25, [(2, 2), (1, 4)], [1, 0, 3, 0]),
    # in pixels of the input it has no original image to work in
    ([0, 4], .75, [(1, 2)], [1, 0, 1, 0]),
    # stretched before: [0, 4, 0] at two pixels, whose centres lie at 1/4 and 7/4, is 1 and 1 of 4
    ([0, 4, 0], .25, [(1, 2)], [0, 0, 1, 0]),
    ([0, 4, 0], .3, [(1, 2)], [0, 0, 2, 1]),  # none
])
def test_how_danet_resizes(row, theta, shapes, box):
    maps = np.array([[row]], np.float32)
    assert find_boxes(maps, get_box_rule('danet'), theta, *shapes).tolist() == [box]


def test_wsoleval_bicubic_finds_the_boxes_of_the_metric():
    thetas = np.array([0, .1, .35, .6, .95])
    rule = get_box_rule('wsoleval_bicubic')
    for maps in (np.random.rand(20, 1, 7, 7) - .3).clip(min=0).astype(np.float32):
        found = ThresholdBoxes(judged_map(maps[0], (48, 64)), thetas)
        expected = found.largest_contour()[0][found.cut_of]
        boxes = [find_boxes(maps, rule, theta, (48, 64))[0] for theta in thetas]
        assert np.array_equal(boxes, expected)


@pytest.mark.parametrize('rule, box, img_shape, ori_shape, expected', [
    # 8 * 500 / 224 = 17.86, 8 * 333 / 224 = 11.89: truncated, or rounded
    ('ci_cam', [8, 8, 224, 224], (224, 224), (333, 500), [17, 11, 500, 333]),
    ('nl_ccam', [8, 8, 224, 224], (224, 224), (333, 500), [18, 12, 500, 333]),
    ('ci_cam', [-3, 0, 230, 100], (100, 200), (50, 100), [0, 0, 100, 50]),  # clipped
])
def test_to_original(rule, box, img_shape, ori_shape, expected):
    found = to_original(np.array(box), get_box_rule(rule), img_shape, ori_shape)
    assert found.tolist() == expected


def test_unknown_box_rule_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown box rule 'big'; known are ci_cam, nl_ccam, ws"):
        get_box_rule('big')


# --- the maps --------------------------------------------------------------------------------
def test_grey_values_of_matplotlibs_colour_map():
    colors = matplotlib.colormaps['cubehelix'](np.arange(256))[None, :, :3]
    grey = cv2.cvtColor((255 * colors).astype(np.uint8), cv2.COLOR_RGB2GRAY)[0]
    np.testing.assert_array_equal(CUBEHELIX_GREY, grey)


def test_shifted_and_scaled():
    np.testing.assert_array_equal(normalize_map(np.array([[2., 4], [6, 3]])), [[0, .5], [1, .25]])
    assert not normalize_map(np.full((3, 4), -2.)).any()


def test_a_constant_map_does_not_change_the_others():
    """Zeros of another type would, by comparing all maps of an image with theta in float64."""
    theta = .3
    maps = np.array([[[0, np.float32(theta)], [0, 1]], [[5, 5], [5, 5]]], np.float32)
    alone, together = (resize(each, (2, 2), 'stretched') for each in (maps[:1], maps))
    assert together.dtype == np.float32 and ((together[0] > theta) == (alone[0] > theta)).all()
