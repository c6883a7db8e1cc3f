from functools import partial

import pytest
import torch
from head_parts import build_head, features_of, labelled

from cicam_mm.models.acol import ACoLClassMaps

build = partial(build_head, 'ACoLHead')


@pytest.fixture
def feats():
    return features_of('ACoLHead')


def test_windows_count_the_zeros_beyond_the_border():
    head = build(in_channels=1)
    pooled = head.pre_logits((torch.full((1, 1, 3, 3), 9.), ))
    assert pooled.tolist() == [[[[4, 6, 4], [6, 9, 6], [4, 6, 4]]]]


def test_erasing_by_hand():
    head = build(threshold=.5)
    maps = torch.zeros(2, 3, 1, 3)
    maps[0, 1] = torch.tensor([0., 2, 4])  # stretched 0, 0.5, 1
    maps[1, 2] = torch.tensor([5., 1, 2])  # stretched 1, 0, 0.25; each image by itself
    features = torch.ones(2, 2, 1, 3)
    erased = head.erase(features, maps, torch.tensor([1, 2]))
    assert erased.tolist() == [[[[1, 0, 0]]] * 2, [[[0, 1, 1]]] * 2]
    # nothing of an image whose map is constant
    assert head.erase(features, torch.ones(2, 3, 1, 3), torch.tensor([0, 1])).equal(features)


def test_no_gradient_reaches_head_a_through_the_mask(feats):
    head = build()
    head.loss(feats, labelled(0, 2))['loss_b'].backward()
    assert all(p.grad is None for p in head.head_a.parameters())
    assert all(p.grad.any() for p in head.head_b.parameters())


def test_fused_maps_by_hand():
    # stretched: head A 0, 0.5, 1 and 1, 0, 0; head B 1, 0, 0.75 for either class
    maps = torch.tensor([[[[1., 2, 3]], [[9, 1, 1]]]])
    fused = ACoLClassMaps(maps, lambda classes: torch.tensor([[[[4., 0, 3]]] * 2]))
    assert fused.of_classes(torch.tensor([[1, 0]])).tolist() == [[[[1, 0, .75]], [[1, .5, 1]]]]
    assert fused.weighted_sum(torch.tensor([[1., -1]])).tolist() == [[[[0, .5, .25]]]]


@pytest.mark.parametrize('constant', ['a', 'b'])
def test_a_constant_map_makes_the_fused_one_zero(constant):
    maps = dict(a=torch.rand(1, 2, 3, 3), b=torch.rand(1, 2, 3, 3))
    maps[constant][0, 1] = 5
    fused = ACoLClassMaps(maps['a'], lambda classes: maps['b']).of_classes(torch.tensor([[0, 1]]))
    assert fused[0, 0].max() == 1 and not fused[0, 1].any()


def test_what_is_erased_in_testing(feats):
    """By itself for each class, or for all by the prediction; equal for the predicted class."""
    own = build(threshold=.3)
    shared = build(threshold=.3, erase_predicted=True)
    shared.load_state_dict(own.state_dict())
    scores, maps = own.localize(feats)
    classes = scores.argsort(dim=1, descending=True)
    same = maps.of_classes(classes) == shared.localize(feats)[1].of_classes(classes)
    same = same.flatten(2).all(dim=2)
    assert same[:, 0].all() and not same.all()
