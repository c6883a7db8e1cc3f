import numpy as np

from cicam_mm.visualization import STYLES, Example, Localized, Style, caption, draw_comparison
from cicam_mm.visualization import comparison as figure
from cicam_mm.visualization.comparison import (
    most_improved,
    panel_size,
    random_images,
    worst_images,
)

STYLE = Style(truth=(255, 0, 0), prediction=(0, 255, 0))


def make_row(names=('CAM', 'CI-CAM'), shape=(96, 96, 3), truths=((10, 10, 60, 50), )):
    results = [Localized(name, np.eye(24), (20, 20, 80, 80)) for name in names]
    return Example(np.full(shape, 128, np.uint8), truths, results, 'striped')


def test_boxes_stand_where_they_belong():
    # Gap 3, three columns of 99 with panels of 96 px: one pixel of the image is one of the panel.
    figure = draw_comparison([make_row()], STYLE, width=300)
    panels, margin = figure[13:13 + 96], (300 - 3 * 99) // 2 + 1
    np.testing.assert_array_equal(panels[10, margin + 10], STYLE.truth)
    np.testing.assert_array_equal(panels[49, margin + 59], STYLE.truth)
    np.testing.assert_array_equal(panels[79, margin + 99 + 79], STYLE.prediction)
    assert figure.shape[1] == 300
    assert not (panels[:, :99] == STYLE.prediction).all(axis=2).any()


def test_text_of_many_methods_is_not_cut(monkeypatch):
    written = []
    monkeypatch.setattr(figure, 'draw_text', lambda text, font_size, max_width, **options: (
        written.append((text, caption.draw_text(text, font_size, 10**4, **options).shape[1],
                        max_width)) or caption.draw_text(text, font_size, max_width, **options)))
    draw_comparison([make_row(['Rethinking-CAM'] * 12)], STYLE, width=1800)
    assert {'Rethinking-CAM', 'IoU 0.28'} <= {text for text, _, _ in written}
    assert all(width <= room for text, width, room in written)


def test_without_truths_there_is_no_iou():
    figure = draw_comparison([make_row(truths=())], STYLES['paper'], width=300)
    caption = figure[13 + 96:13 + 96 + 13]
    assert caption[:, :100].min() < 128 and caption[:, 100:].min() == 255


def test_panels_keep_the_aspect():
    assert [panel_size(shape, 200) for shape in ((300, 400), (1000, 400), (1, 1000))] == [
        (150, 200), (250, 100), (1, 200)]


def test_choices_of_images():
    chosen = random_images(50, 20)
    assert chosen == sorted(set(chosen)) and len(chosen) == 20 and max(chosen) < 50
    assert chosen == random_images(50, 20) != random_images(50, 20, seed=1)
    assert random_images(3, 20) == [0, 1, 2]
    # gains over the best of the others: .7, .1, .5 and a loss
    ious = np.array([[.1, .5, .0, .3], [.2, .0, .4, .3], [.9, .6, .9, .1]])
    assert most_improved(ious, 2) == [0, 2] and most_improved(ious, 9) == [0, 2, 1]
    assert worst_images(np.array([.5, .0, .9, .0, .1]), 3) == [1, 3, 4]
