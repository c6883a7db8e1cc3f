import pytest
from mmpretrain.registry import TRANSFORMS
from mmpretrain.structures import DataSample
from torch import nn

from cicam_mm.datasets.box_frame import check_frame, check_whole_images, frame_of
from cicam_mm.localization import CombinationalLocalizer
from cicam_mm.utils.errors import UserError

pytestmark = pytest.mark.stack
LOAD = dict(type='LoadWSOLImage')
RESIZE = dict(type='Resize', scale=(30, 20))
TRUTH = dict(type='LoadAnnotations', with_bbox=True, with_label=False)
PACK = dict(type='PackInputs', algorithm_keys=('gt_bboxes', ))


def model(frame):
    head = nn.Module()
    head.localizer = CombinationalLocalizer(frame=frame)
    return nn.Sequential(nn.Identity(), head)


def check(frame, *steps):
    check_frame(model(frame), [TRANSFORMS.build(step) for step in steps])


def test_frame_of_a_model():
    assert frame_of(model('input')) == 'input' and frame_of(nn.Identity()) is None
    check_frame(nn.Identity(), [TRANSFORMS.build(dict(type='CenterCrop', crop_size=5))])


@pytest.mark.parametrize('name, step', [
    ('CenterCrop', dict(type='CenterCrop', crop_size=20)),
    ('CenterCrop', dict(type='CenterCrop', crop_size=(30, 20))),
    ('RandomFlip', dict(type='RandomFlip', prob=1.)), ('Pad', dict(type='Pad', size=(40, 40))),
    ('RandomFlip', dict(type='RandomApply', transforms=[dict(type='RandomFlip', prob=1.)])),
    ('Rotate', dict(type='Rotate', angle=30)),
    ('CenterCrop', dict(type='TestTimeAug', transforms=[
        [RESIZE], [dict(type='CenterCrop', crop_size=20)], [PACK]]))])
def test_pixels_that_move_are_refused_for_boxes_of_the_original(name, step):
    with pytest.raises(ValueError, match=f'boxes refer to the original image, but {name} of the'):
        check('original', RESIZE, step)
    check('input', RESIZE, step)


@pytest.mark.parametrize('steps', [
    [RESIZE, dict(type='ColorJitter', hue=.1)], [dict(type='ResizeEdge', scale=20)],
    [RESIZE, dict(type='CenterCrop', crop_size=(20, 30))],  # cuts nothing
    [RESIZE, TRUTH, PACK], [TRUTH, PACK],
    [dict(type='TestTimeAug', transforms=[  # a centre crop scores, the whole image localizes
        [dict(type='ResizeEdge', scale=256), dict(type='Resize', scale=(224, 224))],
        [dict(type='CenterCrop', crop_size=224)], [PACK]])]])
def test_whole_images(steps):
    check('original', *steps)


@pytest.mark.parametrize('frame, steps, where', [
    ('original', [TRUTH, RESIZE], 'after'), ('input', [RESIZE, TRUTH], 'before'),
    ('input', [dict(type='CenterCrop', crop_size=9), TRUTH], 'before')])
def test_ground_truth_in_other_pixels_is_refused(frame, steps, where):
    with pytest.raises(ValueError, match=f'put LoadAnnotations {where} the resizing'):
        check(frame, *steps)


@pytest.mark.parametrize('frame', ['input', 'original'])
def test_masks_do_not_move_with_a_crop(frame):
    pack = dict(type='PackInputs', algorithm_keys=('gt_mask', ))
    crop = dict(type='CenterCrop', crop_size=10)
    with pytest.raises(UserError, match='CenterCrop of the test pipeline moves'):
        check(frame, RESIZE, crop, pack)
    check(frame, RESIZE, pack)
    check(frame, RESIZE, dict(type='CenterCrop', crop_size=(20, 30)), pack)  # cuts nothing


def sees_all(steps, ori_shape, scale_factor, img_shape, frame='original', max_pixels=None):
    sample = DataSample(metainfo=dict(img_path='a.jpg', ori_shape=ori_shape, img_shape=img_shape,
                                      scale_factor=scale_factor))
    try:
        check_whole_images(model(frame), [map(TRANSFORMS.build, steps)], [sample], max_pixels)
    except UserError as error:
        assert str(error).startswith(
            'a.jpg: boxes refer to the original image, but the input of '
            f'{img_shape[1]} x {img_shape[0]} pixels is not the whole')
        return False
    return True


@pytest.mark.parametrize(('ori_shape', 'scale_factor', 'img_shape', 'is_whole'), [
    ((40, 60), (.5, .5), (20, 30), True),
    ((41, 61), (30 / 61, 20 / 41), (20, 30), True),
    ((10_000, 20_000), (.04, .04), (200, 400), True),  # decoded at half the size
    ((40, 60), (.5, .5), (20, 28), False),
    ((40, 60), (.5, .5), (22, 30), False),
    ((40, 60), (.75, .5), (20, 30), False),  # of a part 40 pixels wide
    ((40, 60), (.5, .5), (10, 15), False),  # a crop to half the sides
    ((10_000, 20_000), (.04, .04), (100, 200), False),  # and of what was decoded at half the size
])
def test_the_recorded_scale_tells_what_was_cropped(ori_shape, scale_factor, img_shape, is_whole):
    recorded = ori_shape, scale_factor, img_shape
    assert sees_all([LOAD, RESIZE], *recorded) == is_whole
    assert sees_all([LOAD, RESIZE], *recorded, frame='input')
    assert sees_all([LOAD, RESIZE, RESIZE], *recorded)  # the factor is that of the second


@pytest.mark.parametrize(('load', 'max_pixels', 'is_whole'), [
    ([dict(LOAD, max_pixels=2399)], None, True), ([], 2399, True),
    ([dict(LOAD, max_pixels=2399)], 2400, False), ([], 599, False),
    ([dict(type='LoadImageFromFile')], None, False)])
def test_images_are_reduced_above_the_limit_of_what_loads_them(load, max_pixels, is_whole):
    assert sees_all([*load, RESIZE], (40, 60), (.5, .5), (10, 15), max_pixels=max_pixels
                    ) == is_whole
