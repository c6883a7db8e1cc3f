import re

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

SIDE_BRANCHES = ('branch_b1', 'branch_b2', 'shared', 'branch_c')


def build(**options):
    options = dict(num_classes=3, in_channels=(2, 4), hidden_channels=4, mask_size=40) | options
    head = MODELS.build(dict(type='SPGHead', **options))
    head.init_weights()
    return head


def labelled(*labels):
    return [DataSample(metainfo=dict(img_shape=(8, 8), ori_shape=(8, 8))).set_gt_label(label)
            for label in labels]


@pytest.fixture
def feats():
    return torch.rand(2, 2, 10, 10), torch.rand(2, 4, 5, 5)


def test_attentions(feats):
    head = build()
    maps, side_logits = head.branches(feats)
    b2, b1, c = head.attentions(maps, side_logits, torch.tensor([0, 2]))
    assert b2.shape == (2, 1, 40, 40)
    # the enlarged map of the true class, from 0 to 1 in each image
    assert b2.amin(dim=(2, 3)).unique().tolist() == [0]
    assert b2.amax(dim=(2, 3)).unique().tolist() == [1]
    torch.testing.assert_close(b1, side_logits[0].sigmoid())
    torch.testing.assert_close(c, (side_logits[0].sigmoid() + side_logits[1].sigmoid()) / 2)
    assert not (b2.requires_grad or b1.requires_grad or c.requires_grad)


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


def test_features_without_foreground():
    """Head A's maps are constant: no pixel is sure for B2, and its loss is 0."""
    head = build()
    losses = head.loss((torch.zeros(1, 2, 1, 1), torch.zeros(1, 4, 1, 1)), labelled(1))
    assert losses['loss_b2'] == 0 and all(loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize('thresholds', [
    [(.7, .05)] * 2, [(.7, .05), (.5, .6), (.7, .1)], [(.7, .05), (1.5, .05), (.7, .1)],
    [(.7, -.1), (.5, .05), (.7, .1)]])
def test_thresholds_are_checked(thresholds):
    with pytest.raises(ValueError, match=re.escape(
            'thresholds must be a pair (high, low) for each of B2, B1 and C, with '
            f'0 <= low <= high <= 1, got {thresholds}.')):
        build(thresholds=thresholds)


def test_one_stage_is_too_few(feats):
    with pytest.raises(ValueError, match='feature maps of two stages, got one'):
        build().loss(feats[1:], labelled(0, 1))
