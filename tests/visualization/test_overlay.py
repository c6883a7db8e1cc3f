import numpy as np
import pytest

from cicam_mm.visualization.overlay import (
    Style,
    color_table,
    draw_boxes,
    draw_overlay,
    get_style,
    line_width,
    three_channels,
)

STYLE = Style(truth=(255, 0, 0), prediction=(0, 255, 0), alpha=0.5)
RED, GREEN = STYLE.truth, STYLE.prediction


def grey(height, width, value=200):
    return np.full((height, width, 3), value, np.uint8)


def same(pixels, color):
    return (pixels == np.array(color)).all()


@pytest.mark.parametrize(('values', 'levels'), [
    ([[2, 4, 7]], [0, 102, 255]), ([[3, 3, 3]], [0, 0, 0]), ([[0, np.nan, 1]], [0, 0, 0])])
def test_map_is_stretched_to_all_colors(values, levels):
    """Without contrast, and where it is not finite, it is the lowest color."""
    style = Style(alpha=1)
    np.testing.assert_array_equal(draw_overlay(grey(1, 3), np.array(values), style)[0],
                                  color_table(style)[levels])


def test_overlay_mixes_image_and_color_map():
    low, high = color_table(STYLE)[[0, 255]]
    drawn = draw_overlay(grey(1, 4, 100), np.array([[0., 2.]]), STYLE)
    # half-pixel centres: the map's two values stand in the middle of each half
    np.testing.assert_allclose(drawn[0, [0, 3]], 50 + np.array([low, high]) / 2, atol=1)
    assert (np.diff(drawn[0].sum(axis=1, dtype=int)) > 0).all()


def test_box_lines_lie_inside_its_exclusive_ends():
    image = grey(40, 50)
    drawn = draw_boxes(image, [[10, 5, 30, 35]], (), STYLE)
    assert line_width(image.shape) == 2 and line_width((3000, 4000)) == 25
    for y, x in ((5, 10), (6, 11), (34, 29), (33, 28), (5, 29), (34, 10), (20, 10), (20, 29)):
        assert same(drawn[y, x], RED), (y, x)
    # a seam of one pixel on either side of the line, then the image
    for y, x in ((4, 10), (5, 9), (20, 12), (35, 29), (34, 30)):
        assert same(drawn[y, x], 70), (y, x)
    for y, x in ((3, 10), (5, 8), (20, 13), (36, 29), (34, 31), (20, 20)):
        assert same(drawn[y, x], 200), (y, x)
    assert same(image, 200)


def test_foreground_is_outlined():
    mask = np.zeros((6, 6), bool)
    mask[2:4, 1:5] = True
    drawn = draw_boxes(grey(60, 60), (), (), STYLE, mask)
    line = np.argwhere((drawn == GREEN).all(axis=2))
    assert line.min(axis=0).tolist() == [20, 10] and line.max(axis=0).tolist() == [39, 49]
    assert same(drawn[30, 30], 200) and same(drawn[5, 5], 200)


def test_coinciding_boxes_show_both_colors():
    drawn = draw_boxes(grey(60, 60), [[10, 10, 50, 50]], [[10, 10, 50, 50]], STYLE)
    line = drawn[10, 10:50]
    is_red, is_green = (line == RED).all(axis=1), (line == GREEN).all(axis=1)
    assert (is_red | is_green).all()
    # x + y runs from 20 to 59 in stripes of 8: red to 23, from 32 to 39 and from 48 to 55
    assert is_red.sum() == 20


@pytest.mark.parametrize('box', [[-5, -5, 99, 99], [3, 3, 3, 3], [20, 20, 30, 30]])
def test_box_beyond_the_border_or_without_area_is_still_seen(box):
    drawn = draw_boxes(grey(9, 7), [box], (), STYLE)
    x, y = np.clip(box[:2], 0, (6, 8))
    assert same(drawn[y, x], RED)


def test_grey_images_get_three_equal_channels_and_others_are_refused():
    np.testing.assert_array_equal(three_channels(np.array([[1, 2]], np.uint8)),
                                  [[[1, 1, 1], [2, 2, 2]]])
    for image in np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8):
        with pytest.raises(ValueError, match=rf'{image.dtype} of shape \(4, 4, '):
            three_channels(image)


def test_styles_by_name_and_by_attributes():
    assert (get_style('paper'), get_style(dict(alpha=0.3))) == (Style(), Style(alpha=0.3))
    with pytest.raises(ValueError, match="'nice'; known are paper, color_blind"):
        get_style('nice')
