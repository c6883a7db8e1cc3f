import pytest
import torch
from mmpretrain.registry import TASK_UTILS
from mmpretrain.structures import DataSample

from cicam_mm.localization import (
    MAP_RULES,
    CombinationalLocalizer,
    DenseClassMaps,
    LinearClassMaps,
    RankWeights,
)


def sample(img_shape, ori_shape):
    return DataSample(metainfo=dict(img_shape=img_shape, ori_shape=ori_shape))


def test_plain_cam_has_a_map_for_each_class():
    features = torch.tensor([[[[1., 2], [3, 4]], [[4, 3], [2, 1]]]])
    weight = torch.tensor([[1., 0], [0, 1], [1, -1]])
    maps = CombinationalLocalizer(map_rule='top1').score_maps(
        LinearClassMaps(features, weight), torch.tensor([[0., 1, 2]]), torch.tensor([[2, 0]]))
    assert maps.tolist() == [[[[0, 2], [4, 6]], [[0, 1], [2, 3]]]]  # minus their minimum


def test_boxes_in_both_frames():
    maps = torch.zeros(2, 1, 4, 4)
    maps[..., 1:3, 1:3] = 1
    meta = [sample((4, 4), (8, 16)), sample((4, 4), (4, 8))]  # images may differ in size
    of_input, of_original = CombinationalLocalizer(frame='input'), CombinationalLocalizer()
    assert of_input.boxes(maps, meta).tolist() == [[[1, 1, 3, 3]]] * 2
    assert of_original.boxes(maps, meta).tolist() == [[[4, 2, 12, 6]], [[2, 1, 6, 3]]]
    meta[0].set_metainfo(dict(flip=True, sample_idx=3))
    of_input.boxes(maps, meta)
    with pytest.raises(ValueError, match='image 3 was flipped'):
        of_original.boxes(maps, meta)


def test_other_settings_leave_the_rest():
    class Mine(CombinationalLocalizer):
        pass

    localizer = Mine(num_lowest=2, frame='input')
    other = localizer.with_settings(map_rule='mean', box_rule='danet', theta=.5)
    assert (other.map_rule, other.box_rule, other.theta) == ('mean', 'danet', .5)
    assert isinstance(other, Mine) and other.frame == 'input'
    other.check(3)  # not with the 20 lowest maps, the default
    assert (localizer.map_rule, localizer.theta) == ('quadratic', 0)


@pytest.mark.parametrize('floor, expected', [
    ('minimum', [[0, 2], [4, 6]]), ('zero', [[0, 1], [3, 5]]), ('none', [[-1, 1], [3, 5]])])
def test_floor_of_a_map(floor, expected):
    maps = CombinationalLocalizer(map_rule='top1', floor=floor).score_maps(
        DenseClassMaps(torch.tensor([[[[-1., 1], [3, 5]]]])), torch.zeros(1, 1),
        torch.zeros(1, 1, dtype=torch.int64))
    assert maps.tolist() == [[expected]]


def test_rules_of_strangers_with_options():
    @MAP_RULES.register_module('second', force=True)
    class Second(RankWeights):
        def __init__(self, weight=1.):
            self.weight = weight

        def gamma(self, num_classes):
            return self.weight * torch.eye(num_classes)[1]

    localizer = CombinationalLocalizer(dict(type='second', weight=2.), floor='none',
                                       box_rule=dict(type='eil', resizing='bilinear'))
    try:
        maps = localizer.score_maps(
            DenseClassMaps(torch.tensor([1., 10, 100]).reshape(1, 3, 1, 1)),
            torch.tensor([[1., 3, 2]]), torch.zeros(1, 1, dtype=torch.int64))
    finally:
        MAP_RULES.module_dict.pop('second')
    assert maps.tolist() == [[[[200]]]]


@pytest.mark.parametrize('options, message', [
    (dict(theta=1.), r'theta must be a share of the maximum in \[0, 1\), got 1'),
    (dict(frame='crop'), "unknown frame 'crop'; known are 'original', 'input'"),
    (dict(box_rule='x'), "unknown box rule 'x'; known are ci_cam"),
    (dict(map_rule='x'), "unknown map rule 'x'; known are top1"),
])
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        TASK_UTILS.build(dict(type='CombinationalLocalizer', **options))
