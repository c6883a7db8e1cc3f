import json
from pathlib import Path

import pytest
from mmcv.transforms import Resize
from mmengine.config import Config

from cicam_mm.datasets import ConfoundedShapes
from cicam_mm.evaluation.protocol import (
    describe_criteria,
    describe_protocol,
    protocol_text,
    warn_of_differences,
)

CONFIGS = Path(__file__).parents[2] / 'configs'


def test_protocols_of_our_configs():
    one, crop, release, demo = (
        describe_protocol(Config.fromfile(CONFIGS / f'{name}.py')) for name in (
            'cicam_vgg16_cub', 'cicam_vgg16_cub_center-crop', 'cicam_vgg16_cub_release',
            'cicam_tiny_shapes'))
    assert one['views'] == [[dict(type='Resize', scale=[224, 224])]] and one['frame'] == 'original'
    assert one['localizer']['box_rule'] == 'ci_cam' and one['localizer']['theta'] == 0
    assert one['images'] == dict(
        type='CUBLocalization', split='test', data_root='data/CUB_200_2011')
    assert one['criteria'] == dict(WSOLMetric=[dict(iou_thr=.5, strict=False)])
    assert crop['frame'] == 'input'
    assert [step['type'] for step in crop['views'][0]] == ['Resize', 'CenterCrop']
    assert [[step['type'] for step in view] for view in release['views']] == [
        ['ResizeEdge', 'CenterCrop'], ['Resize', 'CenterCrop']]
    assert demo['images'] == dict(type='ConfoundedShapes', split='test', num_images=600, seed=0)
    assert json.loads(json.dumps([one, crop, release, demo])) == [one, crop, release, demo]
    assert protocol_text(crop['views']) == (
        'Resize(scale=[344, 344], backend=pillow), CenterCrop(crop_size=224)')
    assert protocol_text([[dict(type='A')], [dict(type='B')]]) == 'A(); B()'
    assert protocol_text(one['criteria']) == 'WSOLMetric=[iou_thr=0.5, strict=False]'


def test_classes_as_types_and_long_lists():
    cfg = Config(dict(model=dict(), test_dataloader=dict(dataset=dict(type='Birds'))))
    dataset, found = cfg.test_dataloader.dataset, []
    for indices in (None, 100, [1, 2], [2, 1], [*range(0, 60, 2)], [*range(1, 60, 2)]):
        dataset.indices = indices
        found.append(json.dumps(describe_protocol(cfg, num_images=12)))
    assert len(set(found)) == 6 and max(map(len, found)) < 200
    dataset.update(type=ConfoundedShapes, pipeline=[dict(type=Resize, scale=64)])
    protocol = describe_protocol(cfg)
    assert protocol['images']['type'] == 'ConfoundedShapes'
    assert protocol['views'] == [[dict(type='Resize', scale=64)]]


def test_criteria():
    assert describe_criteria([
        dict(type='WSOLMetric', iou_thr=(.3, .5), strict=True, topk=(1, ), prefix='x'),
        dict(type='WSOLMetric'), dict(type='LocalizationErrors'),
        dict(type='Unknown', thrs=.1)]) == dict(
            WSOLMetric=[dict(iou_thr=[.3, .5], strict=True), dict(iou_thr=.5, strict=False)],
            LocalizationErrors=[{}], Unknown=[dict(thrs=.1)])


ONE = dict(views=[['v']], frame='f', localizer=dict(theta=0), images=dict(type='i'),
           criteria=dict(A=[dict(x=1)], B=[dict(y=2)]))


@pytest.mark.parametrize('one, change, differing', [
    (ONE, {}, ''),
    (ONE, dict(localizer=dict(theta=.2)), ''),
    (ONE, dict(num_images=7), ''),  # not recorded by the other one
    (ONE, dict(criteria=dict(B=[dict(y=2)], C=[])), ''),
    (ONE, dict(criteria=dict(B=[dict(y=3)], A=[dict(x=1)])), 'criteria of B'),
    (ONE, dict(views=[['w']], images=dict(type='j')), 'views, images'),
])
def test_numbers_that_do_not_compare(one, change, differing):
    warning = warn_of_differences([one, {}, one | change])
    assert warning == (differing and f'These runs were tested in different ways ({differing}); '
                       'compare only numbers of one protocol.')
