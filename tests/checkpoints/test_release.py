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


@pytest.mark.parametrize('network, backbone, channels, size, unused', [
    (VGG16, 'NonLocalVGG', 512, 14, ['regressor']),
    (INCEPTION_V3, 'InceptionV3Features', 768, 17, ['backbone.fc', 'regressor'])])
def test_gives_exactly_the_keys_of_the_model(network, backbone, channels, size, unused):
    shapes = build(backbone, channels, size)
    net = in_the_release(network, shapes) | (
        {'backbone.fc.bias': torch.zeros(1)} if 'backbone.fc' in unused else {})
    state, left_out = convert_release({f'module.{key}': value for key, value in net.items()})
    assert {name: value.shape for name, value in state.items()} == shapes and left_out == unused
    assert not state['head.pool.pool'].any()
    pool = torch.randn(7, 12, 10)
    assert torch.equal(convert_release(net, pool)[0]['head.pool.pool'], pool)


@pytest.fixture
def net():
    return in_the_release(VGG16, build('NonLocalVGG', 512, 14))


def test_missing_and_unknown_keys_are_named(net):
    del net['backbone.conv.10.bn.bias']
    net['backbone.conv.35.weight'] = torch.zeros(1)
    with pytest.raises(UserError, match=r'1 missing \(backbone.conv.10.bn.bias\); '
                       r'1 unexpected \(backbone.conv.35.weight\)'):
        convert_release(net)


def test_parts_must_agree(net):
    with pytest.raises(UserError, match='7 classes but the context pool has 8'):
        convert_release(net, torch.zeros(8, 14, 14))
    net['mask2attention.weight'] = torch.zeros(512, 9, 1, 1)
    with pytest.raises(UserError, match='7 classes but mask2attention has 9'):
        convert_release(net)
    net['down_classifier.0.bias'][3] = 1
    with pytest.raises(UserError, match='down_classifier.0.bias differs from up_classifier'):
        convert_release(net)
