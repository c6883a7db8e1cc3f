import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import HOOKS, MODELS, OPTIM_WRAPPERS
from torch import nn

from cicam_mm.models import non_local as attention


class Line(BaseModel):
    """One weight, 1 + 2^-9, which bfloat16 rounds to 1."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.linear.weight, 1 + 2**-9)

    def forward(self, inputs, data_samples=None, mode='loss'):
        self.out = self.linear(inputs)
        return dict(loss=self.out.float().sum())


def test_computes_in_bfloat16_and_updates_in_float32():
    model = Line()
    wrapper = OPTIM_WRAPPERS.build(dict(
        type='AutocastOptimWrapper', optimizer=torch.optim.SGD(model.parameters(), lr=2**-10)))
    model.train_step(dict(inputs=torch.tensor([[3.]])), wrapper)
    assert model.out.dtype == torch.bfloat16 and model.out.item() == 3  # 3 + 3 * 2^-9 in float32
    # a step against a gradient of 3, to a number that bfloat16 does not have
    assert model.linear.weight.item() == 1 - 2**-10


def test_same_result_in_channels_last():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3))
    x = torch.randn(2, 3, 32, 32)
    expected = model(x)
    HOOKS.build(dict(type='ChannelsLastHook')).before_run(SimpleNamespace(model=model))
    assert model(x).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model(x), expected)


@pytest.fixture
def model():
    return MODELS.build(dict(
        type='ImageClassifier',
        backbone=dict(type='NonLocalVGG', depth=11, base_channels=4, strides=(2, 2),
                      non_local_stages=(2, )),
        head=dict(type='CAMHead', num_classes=3, in_channels=8)))


def test_compiled_in_place_as_one_graph(model, monkeypatch):
    """Same maps and gradients, with a last block of queries that is not a full one.

    Parameters keep their names, for checkpoints and rates.
    """
    for name, value in dict(WEIGHTS_AT_ONCE=0, MIN_QUERIES=10).items():
        monkeypatch.setattr(attention, name, value)
    nn.init.ones_(model.backbone.non_local['2'].norm.weight)
    plain, x = copy.deepcopy(model).double(), torch.randn(2, 3, 16, 16).double()
    HOOKS.build(dict(type='CompileHook', backend='aot_eager', fullgraph=True)).before_run(
        SimpleNamespace(model=model))
    assert model.state_dict().keys() == plain.state_dict().keys()
    actual, = model.double().backbone(x)
    expected, = plain.backbone(x)
    torch.testing.assert_close(actual, expected)
    grad = torch.randn_like(expected)
    torch.testing.assert_close(torch.autograd.grad(actual, model.backbone.parameters(), grad),
                               torch.autograd.grad(expected, plain.backbone.parameters(), grad))
    optimizer = build_optim_wrapper(model, dict(
        optimizer=dict(type='SGD', lr=0.1),
        paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.5)})))
    assert {group['lr'] for group in optimizer.param_groups} == {0.05, 0.1}
