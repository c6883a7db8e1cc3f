import torch
from mmengine.model import BaseModel
from mmpretrain.registry import OPTIM_WRAPPERS
from torch import nn


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
