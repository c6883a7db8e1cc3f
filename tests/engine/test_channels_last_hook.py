from types import SimpleNamespace

import torch
from mmpretrain.registry import HOOKS

from cicam_mm.models import NonLocalVGG


def test_same_result_in_channels_last():
    backbone = NonLocalVGG(
        depth=11, base_channels=8, strides=(2, 2), non_local_stages=(2, )).eval()
    for block in backbone.non_local.values():
        torch.nn.init.ones_(block.norm.weight)
    x = torch.randn(1, 3, 32, 32)
    expected, = backbone(x)
    HOOKS.build(dict(type='ChannelsLastHook')).before_run(SimpleNamespace(model=backbone))
    features, = backbone(x)
    assert features.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(features, expected)
