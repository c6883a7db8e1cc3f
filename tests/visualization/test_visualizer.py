import mmcv
import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

import cicam_mm.visualization.visualizer as module
from cicam_mm.visualization import LocalizationVisualizer, Style, draw_sample


def make_sample(label=1, truths=((2., 2., 20., 20.), ), box=(4, 4, 30, 20)):
    sample = DataSample().set_pred_score(torch.tensor([0.25, 0.75])).set_pred_label(1)
    sample.set_data(dict(score_map=torch.eye(7), pred_box=torch.tensor(box)))
    if label is not None:
        sample.set_gt_label(label)
        sample.set_data(dict(gt_bboxes=np.array(truths, np.float32).reshape(-1, 4)))
    return sample


@pytest.fixture
def texts(monkeypatch):
    """What the caption says."""
    said = []

    def draw_text(text, *args, **kwargs):
        said.append((text, kwargs.get('frame')))
        return original(text, *args, **kwargs)

    original = module.draw_text
    monkeypatch.setattr(module, 'draw_text', draw_text)
    return said


def test_caption_names_classes_score_and_iou(texts):
    draw_sample(np.zeros((40, 40, 3), np.uint8), make_sample(label=0), ('duck', 'grebe'))
    style = Style()
    # inclusive pixels: 17 x 17 shared, 19 x 19 and 27 x 17 in all
    iou = 17 * 17 / (19 * 19 + 27 * 17 - 17 * 17)
    assert texts == [('prediction: grebe', style.prediction), ('score 0.75', None),
                     ('truth: duck', style.truth), (f'IoU {iou:.2f}', None)]


def test_caption_of_what_there_is(texts):
    draw_sample(np.zeros((40, 40, 3), np.uint8), make_sample(label=None))
    assert texts == [('prediction: class 1', Style().prediction), ('score 0.75', None)]
    texts.clear()
    sample = DataSample()
    sample.set_data(dict(pred_box=torch.tensor([4, 4, 30, 20])))
    draw_sample(np.zeros((40, 40, 3), np.uint8), sample)
    assert texts == [('prediction', Style().prediction)]
    with pytest.raises(ValueError, match='holds no pred_box'):
        draw_sample(np.zeros((9, 9, 3), np.uint8), DataSample().set_pred_label(1))


def test_the_thresholded_map_is_outlined():
    """The right half of the map is above half of its maximum."""
    image, drawn = np.full((100, 100, 3), 255, np.uint8), []
    for recorded in (dict(box_rule='ts_cam', theta=.5), dict(box_rule=None)):
        sample = make_sample(label=None, box=(0, 0, 9, 9))
        sample.score_map = torch.tensor([[0., 1], [0, 1]])
        sample.set_metainfo(dict(img_shape=(100, 100), **recorded))
        drawn.append(draw_sample(image, sample, style=Style(alpha=0.))[:400])
    y, x = np.nonzero((drawn[0] == Style().prediction).all(axis=2) & (drawn[0] != drawn[1]).any(2))
    assert (x.min(), x.max(), y.min(), y.max()) == (200, 399, 0, 399)


def test_strip_stands_below_the_enlarged_image():
    image = np.full((96, 48, 3), 255, np.uint8)
    picture = draw_sample(image, make_sample(), style=Style(alpha=1))
    assert picture.shape[1] == 260  # 20 letters of 13 px, wider than 4 x 48
    assert picture[:384, :34].min() == 255 and picture[:384, 226:].min() == 255
    assert (picture[:384, 34:226] != 255).any(axis=2).all()
    assert (picture[384:390] == 255).all() and picture[390:].min() < 255
    np.testing.assert_array_equal(picture[8 * 1, 34 + 8], Style().truth)


def test_large_photo_is_drawn_in_four_megapixels():
    sample = make_sample(box=(0, 0, 4000, 3000), truths=((2000, 0, 4000, 3000), ))
    sample.set_metainfo(dict(box_frame='original', ori_shape=(3000, 4000)))
    picture = draw_sample(np.zeros((30, 40), np.uint8), sample)  # decoded at a hundredth
    width = picture.shape[1]
    assert width == round(4000 * (4 / 12)**0.5)
    np.testing.assert_array_equal(picture[width // 3, width // 2 + 3], Style().truth)
    assert draw_sample(np.zeros((1, 1), np.uint8), make_sample()).shape[1] == 384


def test_every_rank_writes_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.dist.utils.get_dist_info', lambda *args: (1, 2))
    file = tmp_path / 'new' / 'ä.png'
    picture = LocalizationVisualizer().add_datasample(
        'ä', np.zeros((40, 40, 3), np.uint8), make_sample(), out_file=str(file))
    np.testing.assert_array_equal(mmcv.imread(file, channel_order='rgb'), picture)
