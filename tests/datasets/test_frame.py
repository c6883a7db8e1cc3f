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


@pytest.mark.parametrize('step', [
    dict(type='CenterCrop', crop_size=20), dict(type='CenterCrop', crop_size=(30, 20)),
    dict(type='RandomFlip', prob=1.), dict(type='RandomCrop', crop_size=10),
    dict(type='RandomResizedCrop', scale=(20, 30)), dict(type='Pad', size=(40, 40)),
    dict(type='RandomApply', transforms=[dict(type='RandomFlip', prob=1.)], prob=.5),
    dict(type='Rotate', angle=30), dict(type='TestTimeAug', transforms=[
        [RESIZE], [dict(type='CenterCrop', crop_size=20)], [PACK]])])
def test_pixels_that_move_are_refused_for_boxes_of_the_original(step):
    name = 'RandomFlip' if step['type'] == 'RandomApply' else (
        'CenterCrop' if step['type'] == 'TestTimeAug' else step['type'])
    with pytest.raises(ValueError, match=f'boxes refer to the original image, but {name} of the'):
        check('original', RESIZE, step)
    check('input', RESIZE, step)


@pytest.mark.parametrize('steps', [
    [RESIZE], [dict(type='ResizeEdge', scale=20)], [RESIZE, dict(type='ColorJitter', hue=.1)],
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
    for steps in ([RESIZE, dict(type='LoadWSOLMask'), crop], [RESIZE, crop]):
        with pytest.raises(UserError, match='CenterCrop of the test pipeline moves'):
            check(frame, *steps, pack)
    with pytest.raises(UserError, match="gt_mask shows the whole image.*'gt_mask' from algorithm"):
        check('input', RESIZE, crop, pack)
    check(frame, RESIZE, pack)
    check(frame, RESIZE, dict(type='CenterCrop', crop_size=(20, 30)), pack)  # cuts nothing


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
    sample = DataSample(metainfo=dict(img_path='a.jpg', ori_shape=ori_shape, img_shape=img_shape,
                                      scale_factor=scale_factor))
    once, twice = ([TRANSFORMS.build(LOAD)] + [TRANSFORMS.build(RESIZE)] * n for n in (1, 2))
    check_whole_images(model('input'), [once], [sample])
    check_whole_images(model('original'), [twice], [sample])  # the factor is that of the second
    if is_whole:
        check_whole_images(model('original'), [once], [sample])
    else:
        with pytest.raises(ValueError, match='a.jpg: boxes refer to the original image, but the i'
                           f'nput of {img_shape[1]} x {img_shape[0]} pixels is not the whole'):
            check_whole_images(model('original'), [once], [sample])


def test_images_are_reduced_above_the_limit_of_what_loads_them():
    sample = DataSample(metainfo=dict(ori_shape=(40, 60), scale_factor=(.5, .5),
                                      img_shape=(10, 15)))
    load, resize = TRANSFORMS.build(dict(LOAD, max_pixels=2399)), TRANSFORMS.build(RESIZE)
    check_whole_images(model('original'), [[load, resize]], [sample])
    check_whole_images(model('original'), [[resize]], [sample], max_pixels=2399)
    other = TRANSFORMS.build(dict(type='LoadImageFromFile'))
    for steps, max_pixels in (([load, resize], 2400), ([resize], 599), ([other, resize], None)):
        with pytest.raises(UserError, match='is not the whole image'):
            check_whole_images(model('original'), [steps], [sample], max_pixels)
