import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS
from mmpretrain.structures import DataSample
from PIL import Image

from cicam_mm.utils.errors import UserError
from cicam_mm.visualization import (
    Example,
    Localized,
    PictureSource,
    Style,
    draw_comparison,
    draw_sample,
)
from cicam_mm.visualization.pictures import as_image, sample_name
from cicam_mm.visualization.pool_sheet import mean_images


class Images(list):
    """A data set of one photo of 640 x 400 pixels that is decoded at a quarter."""

    def __init__(self, folder, turned=1, **info):
        path = folder / 'a.jpg'
        exif = Image.Exif()
        exif[0x0112] = turned
        Image.new('RGB', (640, 400), 'white').save(path, exif=exif)
        self.get_data_info = lambda index: dict(info, img_path=str(path))
        self.get_gt_labels = lambda: np.zeros(1, int)
        self.pipeline = Compose([TRANSFORMS.build(dict(type='LoadWSOLImage', max_pixels=20_000))])
        super().__init__([dict(inputs=torch.zeros(3, 8, 8, dtype=torch.uint8),
                               data_samples=DataSample(metainfo=dict(
                                   img_path=str(path), ori_shape=(400, 640), sample_idx=0)))])


def test_what_has_no_picture():
    with pytest.raises(UserError, match='there is no image 1 in a data set of 1'):
        PictureSource([None]).at(1)
    with pytest.raises(UserError, match='uint8.*float32'):
        as_image(torch.zeros(3, 2, 2))


def test_boxes_on_a_reduced_photo_are_those_of_the_whole(tmp_path):
    dataset = Images(tmp_path)
    assert PictureSource(dataset).at(0, 'input').shape == (8, 8, 3)
    picture = PictureSource(dataset).at(0, 'original')
    assert picture.shape == (100, 160, 3)
    sample = dataset[0]['data_samples'].set_pred_score(torch.ones(2)).set_pred_label(1)
    sample.set_data(dict(score_map=torch.eye(7), pred_box=torch.tensor([320, 200, 640, 400])))
    drawn = draw_sample(picture, sample, style=Style(alpha=0.))
    assert drawn.shape[1] == 640  # as large as of the whole photo
    np.testing.assert_array_equal(drawn[300, 321], Style().prediction)
    assert (drawn[:190, :310] == 255).all()

    result = Localized('CAM', np.eye(7), (320, 200, 640, 400))
    rows = [Example(picture, [(0, 0, 320, 400)], [result], 'a', (400, 640))]
    whole = [rows[0]._replace(image=np.full((400, 640, 3), 255, np.uint8), frame=None)]
    np.testing.assert_array_equal(draw_comparison(rows), draw_comparison(whole))


@pytest.mark.parametrize(('info', 'shape'), [
    (dict(orientation='stored'), (100, 160, 3)),  # as the published lists
    (dict(instances=[dict(bbox=(0, 0, 640, 400))]), (100, 160, 3)), ({}, (160, 100, 3))])
def test_pictures_are_turned_as_in_the_pipeline(tmp_path, monkeypatch, info, shape):
    dataset, shapes, resize = Images(tmp_path, turned=6, **info), [], cv2.resize
    assert PictureSource(dataset).at(0, 'original').shape == shape
    monkeypatch.setattr(cv2, 'resize', lambda image, *args, **options: (
        shapes.append(image.shape) or resize(image, *args, **options)))
    mean_images(dataset, [0])
    assert shapes == [shape]


def test_names_of_samples():
    sample = DataSample(metainfo=dict(sample_idx=12, img_path='x/y.z/duck.1.jpg'))
    assert sample_name(sample) == '00012_duck.1'
    assert sample_name(DataSample(metainfo=dict(sample_idx=123456))) == '123456'
