from types import SimpleNamespace

import cv2
import numpy as np

from cicam_mm.app import Localization, view
from cicam_mm.app.view import draw, look
from cicam_mm.visualization import Style


def test_the_box_is_drawn_at_the_scale_of_the_panel():
    """The right half of an image of 20 x 10 pixels, on a panel of 100 x 50."""
    panel, style = np.full((50, 100, 3), 200, np.uint8), Style(alpha=0.)
    found = Localization(np.eye(2), [10, 0, 20, 10])
    picture = draw(panel, found, (10, 20), style)
    is_line = (picture == style.prediction).all(axis=2)
    assert picture.shape == panel.shape
    assert is_line[:, 50].all() and is_line[0, 50:].all() and is_line[:, 99].all()
    assert not is_line[:, :50].any() and not is_line[5:45, 55:95].any()
    assert (picture[5:45, 55:95] == 200).all()
    assert (panel == 200).all()


def test_the_map_is_drawn_over_the_image():
    panel, style = np.zeros((50, 100, 3), np.uint8), Style(alpha=1., color_map='gray')
    picture = draw(panel, Localization(np.array([[0., 4]]), [0, 0, 1, 1]), (10, 20), style)
    assert picture[25, 10].tolist() == [0, 0, 0] and picture[25, 90].tolist() == [255, 255, 255]


def test_each_model_gets_the_image_as_its_own_pipeline_decodes_it(monkeypatch):
    seen, reads = [], []
    monkeypatch.setattr(view, 'keep_maps', lambda _, image, ori_shape: seen.append(
        (image.shape[:2], ori_shape)))
    content = cv2.imencode('.jpg', np.zeros((40, 60, 3), np.uint8))[1].tobytes()

    def read():
        reads.append(1)
        return content

    models = [SimpleNamespace(max_pixels=limit) for limit in (2400, 2399, 2400)]
    panel = look(models, read, 'a.jpg', Style()).panel
    assert seen == [((40, 60), (40, 60)), ((20, 30), (40, 60)), ((40, 60), (40, 60))]
    assert len(reads) == 2 and panel.shape == (427, 640, 3)
