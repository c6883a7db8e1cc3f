import math

import pytest
import torch
from mmpretrain.registry import MODELS

from cicam_mm.models import ADL
from cicam_mm.models.adl import erases
from cicam_mm.models.erasing import keep_mask


def test_erasing_by_hand():
    # means over the channels 1, 3 and 2, 4: from 0.75 * 3 and 0.75 * 4 on is erased
    x = torch.tensor([[[[0., 2]], [[2, 4]]], [[[2, 3]], [[2, 5]]]])
    assert ADL(gamma=.75, p=1)(x).tolist() == [[[[0, 0]], [[2, 0]]], [[[2, 0]], [[2, 0]]]]


def test_importance_by_hand():
    x = torch.tensor([[[[0., 2]], [[2, 6]]]], requires_grad=True)
    out = ADL(p=0)(x)
    high, low = (1 / (1 + math.exp(-mean)) for mean in (4, 1))
    torch.testing.assert_close(out, torch.tensor([[[[0, 2 * high]], [[2 * low, 6 * high]]]]))
    # d/dx_1 of (x_1 + x_2) s((x_1 + x_2) / 2) = s + (x_1 + x_2) s (1 - s) / 2
    out.sum().backward()
    slopes = [low + 2 * low * (1 - low) / 2, high + 8 * high * (1 - high) / 2]
    torch.testing.assert_close(x.grad, torch.tensor([[[slopes], [slopes]]]))


def test_no_gradient_through_what_is_erased():
    x = torch.tensor([[[[1., 4]]]], requires_grad=True)
    ADL(p=1)(x).sum().backward()
    assert x.grad.tolist() == [[[[1, 0]]]]


def test_testing_is_the_identity():
    x = torch.rand(2, 3, 4, 4)
    assert ADL().eval()(x) is x


@pytest.mark.parametrize('coin, p, expected', [
    (0, 1, True), (.999, 0, False), (.25, .75, True), (.249, .75, False), (.9, .1, True)])
def test_coin(coin, p, expected):
    assert erases(coin, p) is expected


def test_one_coin_for_the_layer_and_batch():
    layer, x = ADL(), torch.rand(4, 2, 3, 3) + .1
    erased = [(layer(x) == 0).flatten(1).any(dim=1) for _ in range(200)]
    assert all(each.all() or not each.any() for each in erased)
    assert 130 < sum(each.all().item() for each in erased) < 170  # 150 expected


def test_places_in_vgg():
    """Behind pools 3 and 4 and conv5_3, also in stages that are frozen; keys stay the same."""
    cfg = dict(type='NonLocalVGG', depth=11, base_channels=4, non_local_stages=())
    plain = MODELS.build(cfg)
    backbone = MODELS.build(dict(
        cfg, frozen_stages=4, plugins=[dict(cfg=dict(type='ADL', p=1), stages=(3, 4, 5))]))
    backbone.load_state_dict(plain.state_dict())
    sizes = []
    for layer in backbone.adl.values():
        layer.register_forward_hook(lambda layer, args, out: sizes.append(
            (out.shape[3], bool((out == 0).all(dim=1).any()))))
    images = torch.rand(2, 3, 64, 64)
    assert backbone.eval()(images)[0].equal(plain.eval()(images)[0])
    assert [size for size, _ in sizes] == [8, 4, 4]
    sizes.clear()
    backbone.train()(images)
    assert sizes == [(8, True), (4, True), (4, True)]


def test_keep_mask_by_hand():
    # mean over two channels: 0, 1, 2, 4; 70 % of the maximum is 2.8, half of it 2
    features = torch.tensor([[[[0., 2], [4, 8]], [[0, 0], [0, 0]]]])
    assert keep_mask(features, .7).tolist() == [[[[1, 1], [1, 0]]]]
    assert keep_mask(features, .5).tolist() == [[[[1, 1], [0, 0]]]]
    assert keep_mask(features, 1.).tolist() == [[[[1, 1], [1, 0]]]]
    assert keep_mask(features, 1.01).all() and not keep_mask(features, 0.).any()


def test_each_image_has_its_own_maximum():
    features = torch.tensor([1., 2, 10, 20]).view(2, 1, 1, 2)
    assert keep_mask(features, .7).tolist() == [[[[1, 0]]], [[[1, 0]]]]


@pytest.mark.parametrize('value, gamma, kept', [
    (0, .7, False), (2, .7, False), (2, 1., False), (-1, .7, True), (-1, 1., False)])
def test_constant_features(value, gamma, kept):
    assert (keep_mask(torch.full((1, 3, 4, 4), float(value)), gamma) == kept).all()
