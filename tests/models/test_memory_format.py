import pytest
import torch
from mmpretrain.registry import MODELS

from cicam_mm.models import memory_format
from cicam_mm.models.memory_format import choose_memory_format, order_images


@pytest.mark.parametrize('capability, onednn, device, with_gradients, without', [
    ('AVX512', True, 'cpu', 'channels_last', 'channels_last'),
    ('AVX2', True, 'cpu', 'as_is', 'channels_last'),
    # not measured
    ('DEFAULT', True, 'cpu', 'as_is', 'as_is'),
    ('AVX512', False, 'cpu', 'as_is', 'as_is'),
    ('AVX512', True, 'cuda', 'as_is', 'as_is'),
])
def test_the_faster_format(monkeypatch, capability, onednn, device, with_gradients, without):
    monkeypatch.setattr(memory_format, 'CPU_CAPABILITY', capability)
    monkeypatch.setattr(memory_format, 'ONEDNN', onednn)
    assert choose_memory_format(device, needs_grad=True) == with_gradients
    assert choose_memory_format(device, needs_grad=False) == without
    images = torch.zeros(2, 3, 4, 4)
    last = images.contiguous(memory_format=torch.channels_last)
    if device == 'cpu':
        found = order_images(images, 'auto')
        assert found.is_contiguous(memory_format=torch.channels_last) == (
            with_gradients == 'channels_last')
    # an option overrules the machine
    assert order_images(images, 'channels_last').stride() == last.stride()
    assert order_images(images, 'as_is') is images


def test_weights_take_the_order_and_the_same_values():
    """Random draws follow the order in memory, so the weights take theirs afterwards."""
    weights = {}
    for name in ('as_is', 'channels_last'):
        torch.manual_seed(0)
        backbone = MODELS.build(dict(type='NonLocalVGG', base_channels=4, memory_format=name))
        backbone.init_weights()
        weights[name] = [p for p in backbone.parameters() if p.dim() == 4 and p.shape[2] > 1]
        assert {p.is_contiguous() for p in weights[name]} == {name == 'as_is'}
    for as_is, ordered in zip(*weights.values(), strict=True):
        assert ordered.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(as_is, ordered)
