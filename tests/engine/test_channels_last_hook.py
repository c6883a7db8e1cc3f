from types import SimpleNamespace

import torch
from mmpretrain.registry import HOOKS
from torch import nn


def test_same_result_in_channels_last():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3))
    x = torch.randn(2, 3, 32, 32)
    expected = model(x)
    assert not expected.is_contiguous(memory_format=torch.channels_last)
    HOOKS.build(dict(type='ChannelsLastHook')).before_run(SimpleNamespace(model=model))
    features = model(x)
    assert features.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(features, expected)
