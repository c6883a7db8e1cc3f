"""What comes out is compared number by number in tests/parity; here is what must not go in."""
import pytest
import torch
from mmpretrain.registry import MODELS

from cicam_mm.checkpoints.release import INCEPTION_V3, VGG16, convert_release, key_names
from cicam_mm.utils.errors import UserError


def build(backbone, channels, size):
    with torch.device('meta'):
        model = MODELS.build(dict(
            type='ImageClassifier',
            backbone=dict(type=backbone),
            head=dict(type='DualCAMHead', num_classes=7, in_channels=channels,
                      pool=dict(size=(size, size)))))
    return {name: value.shape for name, value in model.state_dict().items()}


def in_the_release(network, shapes):
    """A state dict in the release's layout, with zeros for weights."""
    net = {old: torch.zeros(shapes[new]) for old, new in key_names(network).items()}
    for part in ('weight', 'bias'):
        net[f'down_classifier.0.{part}'] = net[f'up_classifier.0.{part}'].clone()
        net[f'regressor.0.{part}'] = torch.zeros(1)
    return net


@pytest.fixture
def net():
    return in_the_release(VGG16, build('NonLocalVGG', 512, 14))


def test_gives_exactly_the_keys_of_the_model(net):
    state, unused = convert_release(net)
    assert {name: value.shape for name, value in state.items()} == build('NonLocalVGG', 512, 14)
    assert unused == ['regressor']


def test_knows_inception_by_its_keys():
    shapes = build('InceptionV3Features', 768, 17)
    net = in_the_release(INCEPTION_V3, shapes)
    net['backbone.fc.bias'] = net['backbone.Mixed_7a.branch3x3_1.conv.weight'] = torch.zeros(1)
    state, unused = convert_release(net)
    assert {name: value.shape for name, value in state.items()} == shapes
    assert unused == ['backbone.Mixed_7a', 'backbone.fc', 'regressor']
    del net['backbone.Mixed_6e.branch1x1.bn.bias']
    with pytest.raises(UserError, match='does not hold the released CI-CAM on InceptionV3: '
                       'missing are backbone.Mixed_6e.branch1x1.bn.bias'):
        convert_release(net)


def test_pool_comes_along(net):
    pool = torch.randn(7, 12, 10)
    assert torch.equal(convert_release(net, pool)[0]['head.pool.pool'], pool)
    empty = convert_release(net)[0]['head.pool.pool']
    assert empty.shape == (7, 14, 14) and not empty.any()


def test_prefix_of_data_parallel_is_dropped(net):
    wrapped = {f'module.{key}': value for key, value in net.items()}
    assert convert_release(wrapped)[0].keys() == convert_release(net)[0].keys()


def test_missing_and_unknown_keys_are_named(net):
    del net['backbone.conv.10.bn.bias']
    net['backbone.conv.35.weight'] = torch.zeros(1)
    with pytest.raises(ValueError, match='missing are backbone.conv.10.bn.bias; '
                       'unknown are backbone.conv.35.weight'):
        convert_release(net)


def test_two_different_classifiers_are_refused(net):
    net['down_classifier.0.bias'][3] = 1
    with pytest.raises(ValueError, match='down_classifier.0.bias differs from up_classifier'):
        convert_release(net)


def test_class_counts_must_agree(net):
    with pytest.raises(ValueError, match='7 classes but the context pool has 8'):
        convert_release(net, torch.zeros(8, 14, 14))
    net['mask2attention.weight'] = torch.zeros(512, 9, 1, 1)
    with pytest.raises(ValueError, match='7 classes but mask2attention has 9'):
        convert_release(net)
