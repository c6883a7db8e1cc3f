import math

import pytest
import torch

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


@pytest.mark.parametrize('gamma, kept', [
    (0., [0, 0, 0, 0]), (.5, [1, 1, 0, 0]), (.7, [1, 1, 1, 0]), (1., [1, 1, 1, 0]),
    (1.01, [1, 1, 1, 1])])
def test_keep_mask_by_hand(gamma, kept):
    # mean over two channels: 0, 1, 2, 4
    features = torch.tensor([[[[0., 2, 4, 8]], [[0, 0, 0, 0]]]])
    assert keep_mask(features, gamma).tolist() == [[[kept]]]


@pytest.mark.parametrize('value, gamma, kept', [
    (0, .7, False), (2, .7, False), (2, 1., False), (-1, .7, True), (-1, 1., False)])
def test_constant_features(value, gamma, kept):
    assert (keep_mask(torch.full((1, 3, 4, 4), float(value)), gamma) == kept).all()
