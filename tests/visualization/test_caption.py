from pathlib import Path

import numpy as np
import pytest

from cicam_mm.visualization import caption
from cicam_mm.visualization.caption import draw_color_bar, draw_text, flow


def test_text_is_one_line_on_white_behind_its_frame():
    picture = draw_text('striped', 20, 400)
    assert picture.shape[0] == 32 and picture.shape[1] < 100
    assert picture.min() < 100 and (picture[[0, -1]] == 255).all()
    picture = draw_text('x', 20, 400, frame=(1, 2, 3))
    np.testing.assert_array_equal(picture[6, 0], (1, 2, 3))
    np.testing.assert_array_equal(picture[26, 20], (1, 2, 3))
    np.testing.assert_array_equal(picture[16, 10], (255, 255, 255))


@pytest.mark.parametrize('text', ['', 'a' * 500])
@pytest.mark.parametrize('max_width', [1, 60])
def test_text_never_exceeds_its_width(text, max_width):
    picture = draw_text(text, 13, max_width, frame=(0, 0, 0))
    assert 1 <= picture.shape[1] <= max_width


@pytest.mark.parametrize('fonts, expected', [
    (['cmr10.ttf', 'DejaVuSansMono.ttf'], ('DejaVuSansMono.ttf', 'a\u0416')),
    (['cmr10.ttf'], ('cmr10.ttf', 'a\\u0416'))])
def test_script_that_our_font_lacks(monkeypatch, fonts, expected):
    """An installed font that has all of the text, or escapes; never empty boxes."""
    folder = caption._FONTS
    fonts = [*fonts, 'LastResortHE-Regular.ttf']  # has a box for every character
    monkeypatch.setattr(caption.fontManager, 'ttflist', [
        font for font in caption.fontManager.ttflist if Path(font.fname).name in fonts])
    monkeypatch.setattr(caption, '_own_font', lambda bold: str(folder / 'cmr10.ttf'))
    path, text = caption.font_for.__wrapped__('a\u0416', False)
    assert (Path(path).name, text) == expected
    assert draw_text('\U0010fffd', 20, 400).shape[1] > draw_text('x', 20, 400).shape[1] * 5


def test_color_bar_runs_from_low_to_high():
    bar = draw_color_bar(np.array([(0, 0, 255), (9, 9, 9), (255, 0, 0)], np.uint8), 10)
    middle = bar[8]
    blue, red = (np.flatnonzero((middle == color).all(axis=1)) for color in ((0, 0, 255),
                                                                             (255, 0, 0)))
    assert blue.max() < red.min() and len(blue) == len(red) == 15  # a quarter of 60 at either end


def test_flow_breaks_lines_where_the_width_ends():
    item = np.zeros((16, 40, 3), np.uint8)
    # margin 5, items of 40, gaps of 20: two fill 5 + 40 + 20 + 40 + 5 = 110 exactly
    assert flow([item] * 2, 110, 10).shape == (5 + 16 + 5, 110, 3)
    strip = flow([item] * 2, 109, 10)
    assert strip.shape == (5 + 2 * 16 + 5, 109, 3)
    assert (strip[5:37, 5:45] == 0).all() and (strip == 0).sum() == 3 * 32 * 40
