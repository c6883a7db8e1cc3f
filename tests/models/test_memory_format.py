
import pytest
import torch
from mmpretrain.registry import MODELS

from cicam_mm.models import memory_format
from cicam_mm.models.memory_format import choose_memory_format, order_images


def rule(monkeypatch, capability, onednn=True):
    monkeypatch.setattr(memory_format, 'CPU_CAPABILITY', capability)
    monkeypatch.setattr(memory_format, 'ONEDNN', onednn)
    return {choose_memory_format('cpu', needs_grad) for needs_grad in (True, False)}


def test_avx512_takes_channels_last(monkeypatch):
    assert rule(monkeypatch, 'AVX512') == {'channels_last'}


def test_avx2_takes_it_where_no_backward_pass_follows(monkeypatch):
    rule(monkeypatch, 'AVX2')
    assert choose_memory_format('cpu', needs_grad=True) == 'as_is'
    assert choose_memory_format('cpu', needs_grad=False) == 'channels_last'


@pytest.mark.parametrize(('capability', 'onednn'), [('DEFAULT', True), ('AVX512', False)])
def test_what_was_not_measured_stays_as_it_is(monkeypatch, capability, onednn):
    assert rule(monkeypatch, capability, onednn) == {'as_is'}


def test_other_devices_stay_as_they_are(monkeypatch):
    rule(monkeypatch, 'AVX512')
    assert choose_memory_format('cuda', needs_grad=True) == 'as_is'
    images = torch.empty(2, 3, 4, 4, device='meta')
    assert order_images(images, 'auto') is images


def test_options_overrule_the_machine(monkeypatch):
    images = torch.zeros(2, 3, 4, 4)
    rule(monkeypatch, 'DEFAULT')
    assert order_images(images, 'channels_last').is_contiguous(memory_format=torch.channels_last)
    rule(monkeypatch, 'AVX512')
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
