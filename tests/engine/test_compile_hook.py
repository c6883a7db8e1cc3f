import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import HOOKS, MODELS

from cicam_mm.models import non_local as attention


@pytest.fixture
def model():
    return MODELS.build(dict(
        type='ImageClassifier',
        backbone=dict(type='NonLocalVGG', depth=11, base_channels=4, strides=(2, 2),
                      non_local_stages=(2, )),
        head=dict(type='CAMHead', num_classes=3, in_channels=8)))


def test_compiled_in_place_with_paramwise_cfg(model):
    """The compiled backbone takes the same steps, each parameter at the rate of its name."""
    plain, graphs = copy.deepcopy(model), []

    def backend(graph, example_inputs):
        graphs.append(graph)
        return graph.forward

    HOOKS.build(dict(type='CompileHook', backend=backend)).before_run(
        SimpleNamespace(model=model))
    cfg = dict(optimizer=dict(type='SGD', lr=0.1),
               paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.5)}))
    x, labels = torch.randn(2, 3, 16, 16), torch.tensor([0, 2])
    for network in (plain, model):
        optimizer = build_optim_wrapper(network, cfg)
        loss = torch.nn.functional.cross_entropy(network(x), labels)
        optimizer.update_params(loss)
    rates = {group['lr'] for group in optimizer.param_groups}
    assert rates == {0.05, 0.1}
    assert graphs
    assert model.state_dict().keys() == plain.state_dict().keys()
    for actual, expected in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(actual, expected)


def test_backbone_with_blocked_attention_is_one_graph(model, monkeypatch):
    """Also backwards, and with a last block of queries that is not a full one."""
    for name, value in dict(WEIGHTS_AT_ONCE=0, MIN_QUERIES=10).items():
        monkeypatch.setattr(attention, name, value)
    torch.nn.init.ones_(model.backbone.non_local['2'].norm.weight)
    plain, x = copy.deepcopy(model).double(), torch.randn(2, 3, 16, 16)
    HOOKS.build(dict(type='CompileHook', backend='aot_eager', fullgraph=True)).before_run(
        SimpleNamespace(model=model))
    actual, = model.double().backbone(x.double())
    expected, = plain.backbone(x.double())
    torch.testing.assert_close(actual, expected)
    grad = torch.randn_like(expected)
    torch.testing.assert_close(torch.autograd.grad(actual, model.backbone.parameters(), grad),
                               torch.autograd.grad(expected, plain.backbone.parameters(), grad))


def test_unknown_part_is_named(model):
    with pytest.raises(AttributeError, match='brain'):
        HOOKS.build(dict(type='CompileHook', modules=['brain'])).before_run(
            SimpleNamespace(model=model))
