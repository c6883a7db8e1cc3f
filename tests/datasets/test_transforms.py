import random
import traceback

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmpretrain.registry import TRANSFORMS
from PIL import Image

import cicam_mm  # noqa: F401
from cicam_mm.datasets import LoadWSOLImage, SeedPerSample


@pytest.fixture
def image(tmp_path):
    """A PNG of 40 x 20 pixels (width x height)."""
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.arange(2400, dtype=np.uint8).reshape(20, 40, 3))
    return path


def load(path, *boxes, **kwargs):
    instances = [dict(bbox=list(box), bbox_label=0) for box in boxes]
    return LoadWSOLImage(**kwargs)(dict(img_path=str(path), instances=instances))


class TestLoadWSOLImage:

    def test_image_with_boxes_of_which_a_fifth_is_outside(self, image):
        results = load(image, (0, 0, 40, 20), (-1, -1, 41, 21), (0, 0, 50, 20))
        assert results['img_shape'] == results['ori_shape'] == (20, 40)
        assert (results['img'].ravel() == np.arange(2400, dtype=np.uint8)).all()

    @pytest.mark.parametrize('box', [(-1.5, 0, 5, 5), (0, 0, 51, 5), (0, 0, 20, 40),
                                     (-9, -9, -5, -5)])
    def test_box_outside(self, image, box):
        with pytest.raises(ValueError, match=r'\S+/a.png. is for .* outside .* 40 x 20') as e:
            load(image, (0, 0, 5, 5), box)
        assert str(list(box)) in str(e.value)

    def test_image_of_another_size_than_listed(self, image):
        info = dict(img_path=str(image), width=40, height=20)
        assert LoadWSOLImage()(info)['ori_shape'] == (20, 40)
        with pytest.raises(ValueError, match=r'has 40 x 20 pixels .* but 80 x 40 in its list'):
            LoadWSOLImage()(dict(info, width=80, height=40))

    def test_objects_with_a_mask_only(self, image):
        info = dict(img_path=str(image), instances=[dict(mask_path='a.png', bbox_label=0)])
        assert LoadWSOLImage()(info)['ori_shape'] == (20, 40)

    @pytest.mark.parametrize('content', ['nothing', 'text', 'half', 'folder'])
    def test_unreadable_image_is_named(self, image, content):
        original = image.read_bytes()
        image.unlink()
        if content == 'folder':
            image.mkdir()
        else:
            image.write_bytes(dict(nothing=b'', text=b'<html>', half=original[:80])[content])
        with pytest.raises(OSError, match=f"Image '{image}' cannot be read"):
            load(image)

    def test_missing_image_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=f"Image '{tmp_path}/no.jpg' does not exist"):
            load(tmp_path / 'no.jpg')

    def test_stored_frame_whatever_the_orientation_tag(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6  # shown turned by 90 degrees
        Image.new('RGB', (40, 20)).save(tmp_path / 'a.jpg', exif=exif)
        assert load(tmp_path / 'a.jpg', color_type='color')['ori_shape'] == (40, 20)
        assert load(tmp_path / 'a.jpg')['ori_shape'] == (20, 40)

    def test_grey_image_gets_three_channels(self, tmp_path):
        Image.new('L', (40, 20), 7).save(tmp_path / 'a.png')
        assert load(tmp_path / 'a.png')['img'].shape == (20, 40, 3)


def build(*transforms):
    return Compose([TRANSFORMS.build(t) for t in transforms])


class TestBoxesInThePipelines:
    """What MMPretrain's and MMCV's transforms do with the fields of these data sets."""
    LOAD = dict(type='LoadWSOLImage')
    BOXES = dict(type='LoadAnnotations', with_bbox=True, with_label=False)
    SQUASH = dict(type='Resize', scale=(80, 80))
    PACK = dict(type='PackInputs', algorithm_keys=('gt_bboxes', ))

    @pytest.fixture
    def info(self, image):
        return dict(img_path=str(image), gt_label=3, sample_idx=7,
                    instances=[dict(bbox=[10, 5, 30, 10], bbox_label=3)])

    def test_loaded_after_resizing_they_stay_in_original_pixels(self, info):
        packed = build(self.LOAD, self.SQUASH, self.BOXES, self.PACK)(info)
        sample = packed['data_samples']
        assert packed['inputs'].shape == (3, 80, 80)
        assert sample.gt_bboxes.dtype == np.float32
        assert sample.gt_bboxes.tolist() == [[10, 5, 30, 10]]
        assert sample.gt_label.tolist() == [3]
        assert (sample.ori_shape, sample.img_shape, sample.sample_idx) == ((20, 40), (80, 80), 7)

    def test_loaded_before_resizing_they_move_with_the_image(self, info):
        packed = build(self.LOAD, self.BOXES, self.SQUASH, self.PACK)(info)
        assert packed['data_samples'].gt_bboxes.tolist() == [[20, 20, 60, 40]]

    def test_training_view(self, info):
        packed = build(self.LOAD, dict(type='ResizeEdge', scale=32),
                       dict(type='RandomCrop', crop_size=24),
                       dict(type='RandomFlip', prob=1., direction='horizontal'), self.PACK)(info)
        assert packed['inputs'].shape == (3, 24, 24)
        assert 'gt_bboxes' not in packed['data_samples']


def draw(seeder, sample_idx):
    seeder(dict(sample_idx=sample_idx))
    return random.random(), np.random.rand(), torch.rand(()).item()


class TestSeedPerSample:

    def test_draws_follow_from_seed_epoch_and_sample(self):
        seeder = SeedPerSample()
        seeder.set_epoch(seed=5, epoch=2)
        first = draw(seeder, 9)
        assert draw(seeder, 10) != first
        assert draw(seeder, 9) == first
        for seed, epoch in ((6, 2), (5, 3), (2, 5)):
            seeder.set_epoch(seed, epoch)
            assert not set(draw(seeder, 9)) & set(first)

    def test_formats_no_traceback(self, monkeypatch):
        # as torch.manual_seed does at each call, until CUDA is used
        formatted = []
        monkeypatch.setattr(traceback, 'format_stack', lambda *args: formatted.append(args))
        seeder = SeedPerSample()
        seeder.set_epoch(seed=5, epoch=2)
        draw(seeder, 9)
        assert not formatted

    def test_without_an_epoch_it_leaves_the_generators_alone(self):
        seeder = SeedPerSample()
        assert draw(seeder, 0) != draw(seeder, 0)
