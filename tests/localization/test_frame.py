import pytest
from mmpretrain.registry import TRANSFORMS
from torch import nn

from cicam_mm.localization import CombinationalLocalizer
from cicam_mm.localization.frame import check_frame, frame_of

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
    ('original', [TRUTH, RESIZE], 'behind'), ('input', [RESIZE, TRUTH], 'before'),
    ('input', [dict(type='CenterCrop', crop_size=9), TRUTH], 'before')])
def test_ground_truth_in_other_pixels_is_refused(frame, steps, where):
    with pytest.raises(ValueError, match=f'put LoadAnnotations {where} the resizing'):
        check(frame, *steps)


def test_ground_truth_that_moves_with_the_crop():
    check('input', TRUTH, RESIZE, dict(type='CenterCrop', crop_size=10), PACK)
