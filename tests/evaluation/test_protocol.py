from pathlib import Path

import pytest
from mmcv.transforms import Resize
from mmengine.config import Config

from cicam_mm.datasets import ConfoundedShapes
from cicam_mm.evaluation.protocol import describe_criteria, describe_protocol, warn_of_differences

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.mark.parametrize(('name', 'views', 'boxes'), [
    ('cicam_vgg16_cub', 'whole image: squashed to 224 x 224', 'in pixels of the original image'),
    ('cicam_vgg16_cub_center-crop', 'crop: squashed to 344 x 344 (pillow), centre 224 pixels',
     "in pixels of the network's input"),
    ('cicam_tiny_shapes', 'whole image: squashed to 96 x 96', 'in pixels of the original image'),
])
def test_views_and_boxes(name, views, boxes):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    protocol = describe_protocol(cfg)
    assert (protocol['views'], protocol['boxes']) == (views, boxes)


def test_two_views():
    protocol = describe_protocol(Config.fromfile(CONFIGS / 'cicam_vgg16_cub_release.py'))
    assert protocol['views'] == (
        '2 views, the last one localizes: crop: short side 304 (pillow), centre 224 pixels; '
        'whole image: squashed to 224 x 224 (pillow)')


def test_localizer_and_test_set():
    protocol = describe_protocol(Config.fromfile(CONFIGS / 'cicam_vgg16_cub.py'))
    assert protocol['localizer'] == 'box_rule ci_cam, map_rule quadratic, theta 0.0'
    assert protocol['images'] == 'CUBLocalization, test, data/CUB_200_2011'
    demo = Config.fromfile(CONFIGS / 'cicam_tiny_shapes.py')
    demo.val_dataloader.dataset.update(num_images=9, seed=5, placement='middle')
    assert describe_protocol(demo, 'val_dataloader')['images'] == (
        'ConfoundedShapes, test, num_images 9, seed 5, placement middle')


def test_wrapped_data_set():
    cfg = Config(dict(model=dict(), test_dataloader=dict(dataset=dict(
        type='RepeatDataset', times=2, dataset=dict(type='Birds', split='test')))))
    protocol = describe_protocol(cfg)
    assert (protocol['views'], protocol['images']) == ('not told by the config', 'Birds, test')
    cfg.test_dataloader.dataset.dataset.pipeline = []
    assert describe_protocol(cfg)['views'] == 'whole image'


@pytest.mark.parametrize(('pipeline', 'view'), [
    ([dict(type='Resize', scale=64)], 'whole image: squashed to 64 x 64'),
    ([dict(type='Resize', scale_factor=.5)], 'whole image: scaled by 0.5'),
    ([dict(type='mmcv.Resize', scale=(80, 60), keep_ratio=True)],
     'whole image: fitted to 80 x 60'),
    ([dict(type=Resize, scale=64), dict(type='CenterCrop', crop_size=(64, 64))],
     'whole image: squashed to 64 x 64'),
    ([dict(type='Resize', scale=64, backend='pillow', interpolation='bicubic')],
     'whole image: squashed to 64 x 64 (pillow, bicubic)'),
    ([dict(type='CenterCrop', crop_size=(60, 40))], 'crop: centre 60 x 40 pixels'),
    ([dict(type='RandomResizedCrop', scale=224)], 'crop: 224 pixels'),
])
def test_transforms_as_users_write_them(pipeline, view):
    cfg = Config(dict(model=dict(), test_dataloader=dict(dataset=dict(type='Birds'))))
    cfg.test_dataloader.dataset.pipeline = pipeline
    assert describe_protocol(cfg)['views'] == view


def test_data_set_given_by_its_class():
    cfg = Config(dict(model=dict(), test_dataloader=dict(dataset=dict(type='Birds'))))
    cfg.test_dataloader.dataset.type = ConfoundedShapes
    assert describe_protocol(cfg)['images'] == 'ConfoundedShapes'


def test_sets_that_differ_by_their_lists():
    cfg = Config.fromfile(CONFIGS / 'cicam_vgg16_cub_wsoleval.py')
    val, test = (describe_protocol(cfg, f'{split}_dataloader')['images']
                 for split in ('val', 'test'))
    assert val.replace('metadata/CUB/val', 'metadata/CUB/test') == test != val


def test_chosen_images():
    cfg = Config(dict(model=dict(), test_dataloader=dict(dataset=dict(type='Birds'))))
    found = set()
    for indices in (None, 100, [1, 2], [2, 1], [*range(0, 60, 5)], [*range(1, 60, 5)]):
        cfg.test_dataloader.dataset.indices = indices
        found.add(describe_protocol(cfg)['images'])
    assert len(found) == 6
    assert {'Birds', 'Birds, indices 100', 'Birds, indices [1, 2]'} < found
    assert max(map(len, found)) < 50
    assert describe_protocol(cfg, num_images=12)['number of images'] == '12'


def test_criteria():
    assert describe_criteria(dict(type='WSOLMetric')) == 'WSOLMetric (iou_thr 0.5, strict False)'
    assert describe_criteria([
        dict(type='WSOLMetric', iou_thr=(.3, .5), strict=True, topk=(1, ), prefix='x'),
        dict(type='LocalizationErrors'), dict(type='Accuracy', topk=5, thrs=.1)]) == (
        'WSOLMetric (iou_thr [0.3, 0.5], strict True); LocalizationErrors; Accuracy (thrs 0.1)')
    cfg = Config.fromfile(CONFIGS / 'cicam_vgg16_cub.py')
    cfg.test_evaluator = dict(cfg.test_evaluator, iou_thr=.3)
    assert describe_protocol(cfg)['criteria'] == 'WSOLMetric (iou_thr 0.3, strict False)'
    validation = describe_protocol(cfg, 'val_dataloader')
    assert validation['criteria'] == 'WSOLMetric (iou_thr 0.5, strict False)'


ONE = dict(views='v', boxes='b', localizer='theta 0', images='i', criteria='A (x 1); B (y 2)')


@pytest.mark.parametrize('change, differing', [
    ({}, ''),
    (dict(localizer='theta 0.2'), ''),
    ({'number of images': '7'}, ''),  # not recorded by the other one
    (dict(criteria='B (y 2); C'), ''),
    (dict(criteria='B (y 2); A (x 1)'), ''),
    (dict(criteria='B (y 3); A (x 1)'), 'criteria of B'),
    (dict(criteria='B (y 2); A (x 1); A (x 2)'), 'criteria of A'),
    (dict(views='w', images='j'), 'views, images'),
])
def test_numbers_that_do_not_compare(change, differing):
    warning = warn_of_differences([ONE, {}, ONE | change])
    assert warning == (differing and f'These runs were tested in different ways ({differing}); '
                       'compare only numbers of one protocol.')
