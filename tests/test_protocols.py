"""What the configs for the protocols of testing on CUB-200-2011 do to an image and its box."""
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS
from PIL import Image
from torchvision import transforms

import cicam_mm  # noqa: F401

CONFIGS = Path(__file__).parents[1] / 'configs'
BOX = [200., 100., 688., 200.]  # in an image of 688 x 344


def load(name):
    return Config.fromfile(CONFIGS / f'cicam_vgg16_cub_{name}.py')


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp('images') / 'photo.png'
    pixels = np.random.default_rng(0).integers(0, 256, (344, 688, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def run_pipeline(name, path):
    """The packed result; both the validation and the test set must use the same pipeline."""
    cfg = load(name)
    assert cfg.val_dataloader.dataset.pipeline == cfg.test_dataloader.dataset.pipeline
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pipeline = [TRANSFORMS.build(step) for step in cfg.test_dataloader.dataset.pipeline]
    return Compose(pipeline)(
        dict(img_path=str(path), gt_label=3, sample_idx=0, instances=[dict(bbox=BOX)]))


def test_release_makes_a_centre_crop_and_a_squashed_view(photo):
    packed = run_pipeline('release', photo)
    image = Image.open(photo)
    expected = (
        transforms.Compose([transforms.Resize(304), transforms.CenterCrop(224)])(image),
        transforms.Resize((224, 224))(image))
    for view, sample, pixels in zip(
            packed['inputs'], packed['data_samples'], expected, strict=True):
        assert np.array_equal(view.numpy()[::-1], np.asarray(pixels).transpose(2, 0, 1))
        assert sample.img_shape == (224, 224) and sample.ori_shape == (344, 688)
        assert sample.gt_bboxes.tolist() == [BOX]


def test_center_crop_moves_and_clips_the_box(photo):
    packed = run_pipeline('center-crop', photo)
    # squashed to 344 x 344: 100, 100, 344, 200; 60 pixels cut away on each side
    assert packed['data_samples'].gt_bboxes.tolist() == [[40, 40, 224, 140]]
    squashed = np.asarray(Image.open(photo).resize((344, 344), Image.BILINEAR))
    crop = squashed[60:284, 60:284].transpose(2, 0, 1)
    assert np.array_equal(packed['inputs'].numpy()[::-1], crop)
    assert load('center-crop').model.head.localizer.frame == 'input'


@pytest.mark.parametrize('name, changed', [
    ('paper', {
        'model.backbone.act_cfg.type', 'model.head.pool.update', 'model.head.pool.counted',
        'model.head.pool.renormalized', 'model.head.pool.projection',
        'optim_wrapper.optimizer.betas',
        'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult',
        'optim_wrapper.paramwise_cfg.custom_keys.head.pool.lr_mult'
    }),
    ('release', {
        'model.type', 'train_pipeline', 'train_dataloader.dataset.pipeline', 'test_pipeline',
        'val_dataloader.dataset.pipeline', 'test_dataloader.dataset.pipeline'
    }),
    ('center-crop', {
        'model.head.localizer.frame', 'model.head.localizer.theta', 'test_pipeline',
        'val_dataloader.dataset.pipeline', 'test_dataloader.dataset.pipeline'
    }),
])
def test_differs_from_the_default_in_nothing_else(name, changed):
    default = dict(settings(Config.fromfile(CONFIGS / 'cicam_vgg16_cub.py').to_dict()))
    variant = dict(settings(load(name).to_dict()))
    assert {key for key in default.keys() | variant.keys()
            if default.get(key) != variant.get(key)} == changed


@pytest.mark.parametrize('name', ['vgg16', 'inceptionv3'])
def test_the_release_resizes_all_images_by_pillow(name):
    """And trains in the same way apart from that."""
    release, default = (Config.fromfile(CONFIGS / f'cicam_{name}_cub{variant}.py')
                        for variant in ('_release', ''))
    trained = release.train_dataloader.dataset.pipeline
    views = release.test_dataloader.dataset.pipeline[1].transforms[0]
    resizing = [step for step in [*trained, *views] if step.type.startswith('Resize')]
    assert [step.pop('backend') for step in resizing] == ['pillow'] * 3
    assert trained == default.train_dataloader.dataset.pipeline


def settings(cfg, prefix=''):
    for key, value in cfg.items():
        if isinstance(value, dict):
            yield from settings(value, f'{prefix}{key}.')
        else:
            yield prefix + key, value
