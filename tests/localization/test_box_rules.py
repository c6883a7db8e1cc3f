import numpy as np
import pytest

from cicam_mm.localization import BOX_RULES, find_box, get_box_rule, to_original


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
def test_map_without_foreground_gives_the_whole_image(rule, value):
    score_map = np.full((6, 8), value, np.float32)
    assert find_box(score_map, get_box_rule(rule), 0.).tolist() == [0, 0, 8, 6]


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
