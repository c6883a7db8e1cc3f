import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from cicam_mm.datasets import LoadWSOLImage
from cicam_mm.utils.errors import UserError


@pytest.fixture
def image(tmp_path):
    """A PNG of 40 x 20 pixels (width x height)."""
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.arange(2400, dtype=np.uint8).reshape(20, 40, 3))
    return path


def load(path, *boxes, info=None, **options):
    instances = [dict(bbox=list(box), bbox_label=0) for box in boxes]
    return LoadWSOLImage(**options)(dict(img_path=str(path), instances=instances, **info or {}))


def test_image_with_boxes_of_which_a_fifth_is_outside(image):
    results = load(image, (0, 0, 40, 20), (-1, -1, 41, 21), (0, 0, 50, 20))
    assert results['img_shape'] == results['ori_shape'] == (20, 40)
    assert (results['img'].ravel() == np.arange(2400, dtype=np.uint8)).all()
    masked = dict(img_path=str(image), instances=[dict(mask_path='a.png', bbox_label=0)])
    assert LoadWSOLImage()(masked)['ori_shape'] == (20, 40)


@pytest.mark.parametrize('box', [(-1.5, 0, 5, 5), (0, 0, 51, 5), (0, 0, 20, 40), (-9, -9, -5, -5)])
def test_box_outside(image, box):
    with pytest.raises(ValueError, match=r'\S+/a.png. is for .* outside .* 40 x 20') as e:
        load(image, (0, 0, 5, 5), box)
    assert str(list(box)) in str(e.value) and 'EXIF' not in str(e.value)


def test_image_of_another_size_than_listed(image):
    assert load(image, info=dict(width=40, height=20))['ori_shape'] == (20, 40)
    with pytest.raises(ValueError, match=r'has 40 x 20 pixels .* but 80 x 40 in its list'):
        load(image, info=dict(width=80, height=40))


class TestOrientation:
    """A photo of 40 x 20 stored pixels, the left half white, with an EXIF orientation."""
    STORED = [[255, 0], [255, 0]]

    @pytest.fixture
    def photo(self, tmp_path):

        def photo(orientation):
            exif = Image.Exif()
            exif[0x0112] = orientation
            pixels = np.zeros((20, 40, 3), np.uint8)
            pixels[:, :20] = 255
            Image.fromarray(pixels).save(tmp_path / 'a.png', exif=exif)
            return tmp_path / 'a.png'

        return photo

    @staticmethod
    def corners(results):
        height, width = results['img'].shape[:2]
        assert results['ori_shape'] == (height, width)
        return results['img'][::height - 1, ::width - 1, 0].tolist()

    @pytest.mark.parametrize('orientation, turned', [
        (1, [[255, 0]] * 2), (2, [[0, 255]] * 2), (3, [[0, 255]] * 2), (4, [[255, 0]] * 2),
        (5, [[255] * 2, [0] * 2]), (6, [[255] * 2, [0] * 2]), (7, [[0] * 2, [255] * 2]),
        (8, [[0] * 2, [255] * 2]), (9, [[255, 0]] * 2)])
    def test_options(self, photo, orientation, turned):
        path = photo(orientation)
        assert self.corners(load(path)) == turned  # without boxes as in inference
        assert self.corners(load(path, info=dict(orientation='stored'))) == self.STORED
        assert self.corners(load(path, (1, 1, 9, 9), orientation='stored')) == self.STORED
        assert self.corners(load(path, (1, 1, 9, 9), orientation='upright')) == turned
        # published lists refer to stored pixels
        assert self.corners(load(path, (1, 1, 9, 9), info=dict(orientation='stored'))
                            ) == self.STORED

    @pytest.mark.parametrize('orientation', [2, 3, 4, 6])
    def test_boxes_of_either_picture_are_refused(self, photo, orientation):
        with pytest.raises(UserError, match='fit it both as stored and upright. Its EXIF '
                           f"orientation is {orientation}: set orientation='upright' of LoadWS"):
            load(photo(orientation), (1, 1, 9, 9))

    def test_the_size_tells_which_picture_was_meant(self, photo):
        assert load(photo(6), (0, 0, 40, 20))['ori_shape'] == (20, 40)
        info = dict(width=40, height=20)
        assert load(photo(6), (0, 0, 9, 9), info=info)['ori_shape'] == (20, 40)
        for info in {}, dict(orientation='stored'):
            with pytest.raises(UserError, match='outside the image of 40 x 20 .* EXIF orientation '
                               "is 6: set orientation='upright'"):
                load(photo(6), (0, 0, 20, 40), info=info)
        with pytest.raises(UserError, match='but 20 x 40 in its list.* EXIF orientation is 6'):
            load(photo(6), (0, 0, 9, 9), info=dict(width=20, height=40))
        assert load(photo(6), (0, 0, 20, 40), orientation='upright')['ori_shape'] == (40, 20)
        with pytest.raises(UserError, match="unknown orientation 'turned'; known are 'stored', "):
            LoadWSOLImage(orientation='turned')


@pytest.mark.parametrize(('first', 'second', 'box'), [
    ('Resize', 'LoadAnnotations', [10, 5, 30, 10]),  # in pixels of the original image
    ('LoadAnnotations', 'Resize', [20, 20, 60, 40])])
def test_boxes_are_in_pixels_of_the_image_when_they_are_loaded(image, first, second, box):
    """What MMPretrain's and MMCV's transforms do with the fields of these data sets."""
    options = dict(Resize=dict(scale=(80, 80)),
                   LoadAnnotations=dict(with_bbox=True, with_label=False))
    steps = [dict(type='LoadWSOLImage'), *(dict(type=name, **options[name])
                                           for name in (first, second)),
             dict(type='PackInputs', algorithm_keys=('gt_bboxes', ))]
    packed = Compose([TRANSFORMS.build(step) for step in steps])(
        dict(img_path=str(image), gt_label=3, sample_idx=7,
             instances=[dict(bbox=[10, 5, 30, 10], bbox_label=3)]))
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 80, 80)
    assert sample.gt_bboxes.tolist() == [box]
    assert sample.gt_label.tolist() == [3]
    assert (sample.ori_shape, sample.img_shape, sample.sample_idx) == ((20, 40), (80, 80), 7)
