import math
from functools import partial

import pytest
import torch
from head_parts import build_head, features_of, labelled

from cicam_mm.models.spg import sure_pixel_loss, sure_pixels

SIDE_BRANCHES = ('branch_b1', 'branch_b2', 'shared', 'branch_c')
build = partial(build_head, 'SPGHead')


@pytest.fixture
def feats():
    return features_of('SPGHead')


@pytest.mark.parametrize('part, trains', [
    ('loss_class', {'head_a'}),
    ('loss_b2', {'branch_b2', 'shared'}),
    ('loss_b1', {'branch_b1', 'shared'}),
    ('loss_c', {'branch_c', 'head_a'}),
])
def test_what_each_loss_trains(feats, part, trains):
    head = build()
    head.loss(feats, labelled(0, 2))[part].backward()
    reached = {name.split('.')[0] for name, parameter in head.named_parameters()
               if parameter.grad is not None and parameter.grad.any()}
    assert reached == trains


def test_prediction_does_not_touch_the_side_branches(feats):
    head = build()
    before = head.predict(feats, labelled(0, 1))
    for name in SIDE_BRANCHES:
        for parameter in getattr(head, name).parameters():
            torch.nn.init.constant_(parameter, torch.nan)
    after = head.predict(feats[1:], labelled(0, 1))  # nor an earlier stage
    for a, b in zip(before, after, strict=True):
        assert a.score_map.equal(b.score_map) and a.pred_boxes.equal(b.pred_boxes)


def test_one_stage_is_too_few(feats):
    with pytest.raises(ValueError, match='feature maps of two stages, got one'):
        build().loss(feats[1:], labelled(0, 1))


def image(*parts):
    """An image of ten columns; parts are counts and values of its pixels."""
    return torch.cat([torch.full((count, ), value) for count, value in parts]).view(1, 1, -1, 10)


@pytest.mark.parametrize('parts, expected', [
    # 40 above 0.7, 20 below 0.05, and values that equal a threshold belong to neither
    ([(40, .9), (10, .7), (10, .3), (10, .05), (20, .01), (10, math.nan)], [20, 40, 40]),
    ([(40, 1.), (60, 0.)], [60, 40, 0]),
    # 29 object pixels are too few: from 0.7 * 0.9 = 0.63 on is object; 30 are enough
    ([(29, .9), (21, .65), (50, .3)], [0, 50, 50]), ([(30, .9), (20, .65), (50, .3)], [0, 30, 70]),
    ([(100, .3)], [0, 100, 0]),  # cut at 0.21
    ([(100, .04)], [100, 0, 0]),  # above 0.7 * 0.04 and below 0.05: background goes first
])
def test_labels_by_hand(parts, expected):
    labels = sure_pixels(image(*parts), .7, .05)
    assert [int((labels == value).sum()) for value in (0, 1, 255)] == expected


def test_each_image_has_its_own_threshold():
    first, second = image((29, .9), (71, .65)), image((50, .9), (50, .65))
    assert sure_pixels(torch.cat([first, second]), .7, .05)[1].equal(
        sure_pixels(second, .7, .05)[0])


def test_loss_by_hand():
    logits = torch.tensor([0., 2, 2, 5]).view(1, 1, 2, 2)
    labels = torch.tensor([1, 1, 0, 255], dtype=torch.uint8).view(1, 1, 2, 2)
    expected = (math.log(2) + math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))) / 3
    assert sure_pixel_loss(logits, labels).item() == pytest.approx(expected)


def test_loss_of_nothing_is_zero():
    logits = torch.ones(1, 1, 2, 2, requires_grad=True)
    loss = sure_pixel_loss(logits, torch.full((1, 1, 2, 2), 255, dtype=torch.uint8))
    loss.backward()
    assert loss == 0 and not logits.grad.any()
