import numpy as np
import pytest
import torch

from cicam_lite import BOX_RULES, find_box, find_boxes, get_box_rule, to_original
from cicam_mm.evaluation.pooled_metric import judged_map
from cicam_mm.evaluation.threshold_boxes import ThresholdBoxes


def canvas(height, width, *blocks):
    """A map of zeros with blocks (x0, y0, x1, y1, value)."""
    score_map = np.zeros((height, width), np.float32)
    for x0, y0, x1, y1, value in blocks:
        score_map[y0:y1, x0:x1] = value
    return score_map


def test_ci_cam_takes_the_largest_box_not_the_most_pixels():
    # a frame of 16 pixels around 25, and a solid block of 20
    score_map = canvas(12, 12, (1, 1, 6, 6, 1), (2, 2, 5, 5, 0), (7, 7, 12, 11, 1))
    assert find_box(score_map, get_box_rule('ci_cam'), 0.).tolist() == [1, 1, 6, 6]


def test_ci_cam_ties_go_to_the_first_in_raster_order():
    score_map = canvas(9, 9, (6, 0, 8, 2, 1), (0, 1, 2, 3, 1), (3, 6, 5, 8, 1))
    assert find_box(score_map, get_box_rule('ci_cam'), 0.).tolist() == [6, 0, 8, 2]


def test_ci_cam_regions_do_not_join_at_corners():
    score_map = canvas(8, 8, (0, 0, 3, 3, 1), (3, 3, 5, 5, 1))
    assert find_box(score_map, get_box_rule('ci_cam'), 0.).tolist() == [0, 0, 3, 3]


def test_ci_cam_second_cut_is_the_mean_of_the_kept_map():
    # 10 x 10; theta 0.25 * 1 drops the 0.2, and the mean of the rest is
    # (4 * 1 + 36 * 0.3) / 100 = 0.148, so the 0.3 stay; with 0.2 kept nothing else changes
    score_map = canvas(10, 10, (0, 0, 9, 9, .2), (1, 1, 7, 7, .3), (1, 1, 3, 3, 1.))
    assert find_box(score_map, get_box_rule('ci_cam'), .25).tolist() == [1, 1, 7, 7]
    # theta 0 keeps everything: mean (4 + 32 * .3 + 45 * .2) / 100 = 0.226 still below 0.3
    assert find_box(score_map, get_box_rule('ci_cam'), 0.).tolist() == [1, 1, 7, 7]
    # theta 0.5 leaves the four ones alone
    assert find_box(score_map, get_box_rule('ci_cam'), .5).tolist() == [1, 1, 3, 3]


def test_wsoleval_takes_the_largest_contour_and_caps_the_ends():
    # contour areas go through pixel centres: 4 x 4 block 9, row of 10 pixels 0
    score_map = canvas(12, 12, (8, 8, 12, 12, 1), (0, 0, 10, 1, 1))
    assert find_box(score_map, get_box_rule('wsoleval'), .2).tolist() == [8, 8, 11, 11]


def test_wsoleval_cut_is_truncated_to_uint8():
    # 0.5 becomes 127, the cut int(0.5 * 255) = 127: not above
    score_map = canvas(10, 10, (1, 1, 5, 5, .5), (6, 6, 8, 9, 1.))
    assert find_box(score_map, get_box_rule('wsoleval'), .5).tolist() == [6, 6, 8, 9]


@pytest.mark.parametrize('rule', BOX_RULES)
@pytest.mark.parametrize('value', [0, 3, np.nan, np.inf])
def test_map_without_foreground(rule, value):
    expected = dict(wsoleval_bicubic=[0, 0, 0, 0], ts_cam=[0, 0, 1, 1], adl=[0, 0, 1, 1])
    maps = torch.full((1, 6, 8), float(value))
    assert find_boxes(maps.numpy(), get_box_rule(rule), .1, (6, 8)).tolist() == [
        expected.get(rule, [0, 0, 8, 6])]


@pytest.mark.parametrize('rule', BOX_RULES)
def test_sums_of_the_largest_values_do_not_overflow(rule):
    maps = canvas(12, 12, (2, 3, 9, 7, 1), (4, 4, 6, 6, 1.5))[None]
    boxes = [find_boxes(scaled, get_box_rule(rule), .2, (12, 12)).tolist()
             for scaled in (maps, maps * np.float32(2e38))]
    assert boxes[0] == boxes[1]


# 1 on a 4 x 3 block, 0.6 on a single pixel, 0.3 on a line of 7 pixels, each apart
BLOCK, PIXEL, LINE = (1, 1, 5, 4, 1.), (7, 5, 8, 6, .6), (2, 8, 9, 9, .3)


@pytest.mark.parametrize('rule, theta, expected', [
    # largest contour area: the block's 3 x 2, those of pixel and line are 0
    ('wsoleval', .2, [1, 1, 5, 4]), ('ts_cam', .2, [1, 1, 5, 4]), ('adl', .2, [1, 1, 5, 4]),
    ('rethinking', .2, [1, 1, 5, 4]),
    # all foreground, last pixel included
    ('eil', .2, [1, 1, 8, 8]), ('eil', .4, [1, 1, 7, 5]), ('eil', .8, [1, 1, 4, 3]),
    ('danet', .2, [1, 1, 8, 8]), ('danet', .4, [1, 1, 7, 5]), ('danet', .8, [1, 1, 4, 3]),
])
def test_rules_of_the_releases_on_one_map(rule, theta, expected):
    score_maps = canvas(10, 12, BLOCK, PIXEL, LINE)[None]
    assert find_boxes(score_maps, get_box_rule(rule), theta, (10, 12)).tolist() == [expected]


@pytest.mark.parametrize('rule, expected', [
    ('wsoleval', [8, 8, 11, 11]),   # ends at most at the last pixel
    ('ts_cam', [8, 8, 12, 12]), ('adl', [8, 8, 12, 12]), ('rethinking', [8, 8, 12, 12]),
    ('eil', [8, 8, 11, 11]), ('danet', [8, 8, 11, 11]),
])
def test_ends_at_the_border(rule, expected):
    score_maps = canvas(12, 12, (8, 8, 12, 12, 1))[None]
    assert find_boxes(score_maps, get_box_rule(rule), .2, (12, 12)).tolist() == [expected]


def test_danet_keeps_what_equals_theta():
    score_map = canvas(8, 8, (1, 1, 3, 3, 1), (5, 5, 6, 6, .5))
    assert find_box(score_map, get_box_rule('danet'), .5).tolist() == [1, 1, 5, 5]
    assert find_box(score_map, get_box_rule('danet'), .51).tolist() == [1, 1, 2, 2]


def test_danet_works_at_the_size_of_the_original_image():
    # bilinear from [0, 4] to four pixels: 0, 1, 3, 4; stretched 0, .25, .75, 1
    maps = torch.tensor([[[0., 4]]])
    rule = get_box_rule('danet')
    assert find_boxes(maps.numpy(), rule, .75, (2, 2), (1, 4)).tolist() == [[2, 0, 3, 0]]
    assert find_boxes(maps.numpy(), rule, .25, (2, 2), (1, 4)).tolist() == [[1, 0, 3, 0]]
    # in pixels of the input it has no original image to work in
    assert find_boxes(maps.numpy(), rule, .75, (1, 2)).tolist() == [[1, 0, 1, 0]]


def test_danet_stretches_before_resizing():
    # [0, 4, 0] to two pixels, whose centres lie at 1/4 and 7/4: 1 and 1 of 4
    maps = np.array([[[0., 4, 0]]], np.float32)
    assert find_boxes(maps, get_box_rule('danet'), .25, (1, 2)).tolist() == [[0, 0, 1, 0]]
    assert find_boxes(maps, get_box_rule('danet'), .3, (1, 2)).tolist() == [[0, 0, 2, 1]]  # none


def test_rethinking_cuts_at_a_share_of_the_90th_percentile():
    # 100 values: 80 zeros, 12 of 100 (of 255), 8 of 255. The 90th percentile is 100.
    score_map = canvas(10, 10, (0, 0, 5, 4, 100 / 255), (6, 6, 10, 8, 1))
    score_map[0, :5] = score_map[1:4, 0] = 0  # 12 remain: x 1 to 4, y 1 to 3
    rule = get_box_rule('rethinking')
    assert find_box(score_map, rule, .9).tolist() == [1, 1, 5, 4]    # above 90
    assert find_box(score_map, rule, 1.).tolist() == [6, 6, 10, 8]   # above 100
    assert find_box(score_map, get_box_rule('ts_cam'), .9).tolist() == [6, 6, 10, 8]


def test_adl_thresholds_grey_values_of_cubehelix():
    # 1.2 of 255 is 1 of 255 in 8 bit, and in the table the colour (1, 0, 1), whose grey value
    # .299 R + .587 G + .114 B = .4 is rounded to 0
    score_map = canvas(8, 8, (0, 0, 4, 4, 1.2 / 255), (6, 6, 8, 8, 1))
    assert find_box(score_map, get_box_rule('ts_cam'), 0).tolist() == [0, 0, 4, 4]
    assert find_box(score_map, get_box_rule('adl'), 0).tolist() == [6, 6, 8, 8]


def test_wsoleval_bicubic_finds_the_boxes_of_the_metric():
    thetas = np.array([0, .1, .35, .6, .95])
    rule = get_box_rule('wsoleval_bicubic')
    for maps in (torch.rand(20, 1, 7, 7) - .3).clamp(min=0):
        judged = judged_map(maps[0].numpy(), (48, 64))
        found = ThresholdBoxes(judged, thetas)
        expected = found.largest_contour()[0][found.cut_of]
        boxes = [find_boxes(maps.numpy(), rule, theta, (48, 64))[0] for theta in thetas]
        assert np.array_equal(boxes, expected)


def test_largest_contour_takes_the_later_of_equals():
    score_map = canvas(9, 9, (0, 0, 3, 3, 1), (5, 0, 8, 3, 1))
    assert find_box(score_map, get_box_rule('ts_cam'), .2).tolist() == [5, 0, 8, 3]


def test_one_bad_value_makes_the_map_bad():
    score_map = canvas(6, 8, (1, 1, 3, 3, 1))
    score_map[5, 5] = np.nan
    assert find_box(score_map, get_box_rule('ci_cam'), 0.).tolist() == [0, 0, 8, 6]


@pytest.mark.parametrize('rule, expected', [
    ('ci_cam', [17, 11, 500, 333]),  # 17.86 truncated, 11.89
    ('nl_ccam', [18, 12, 500, 333]),
])
def test_to_original(rule, expected):
    # 224 x 224 to 500 x 333: 8 * 500 / 224 = 17.86, 8 * 333 / 224 = 11.89
    box = to_original(np.array([8, 8, 224, 224]), get_box_rule(rule), (224, 224), (333, 500))
    assert box.tolist() == expected


def test_to_original_clips():
    box = to_original(np.array([-3, 0, 230, 100]), get_box_rule('ci_cam'), (100, 200), (50, 100))
    assert box.tolist() == [0, 0, 100, 50]


def test_unknown_box_rule_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown box rule 'big'; known are ci_cam, nl_ccam, ws"):
        get_box_rule('big')
