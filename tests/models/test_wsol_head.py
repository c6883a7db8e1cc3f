"""What every head inherits, and what every head must do."""
import re

import pytest
import torch
from head_parts import HEADS, build_head, features_of, labelled
from mmpretrain.structures import DataSample
from torch import nn

from cicam_mm.localization import DenseClassMaps
from cicam_mm.models import ADL, CAMHead, ErasedCopy, WSOLHead, check_head
from cicam_mm.utils.errors import UserError


@pytest.mark.parametrize('kind', HEADS)
def test_every_head_does_what_tools_expect(kind):
    check_head(build_head(kind), features_of(kind))


class LinearHead(WSOLHead):
    """Right in every way; those below are wrong in one."""

    def __init__(self, **kwargs):
        super().__init__(3, **kwargs)
        self.to_maps = nn.Conv2d(2, 3, 1)

    def localize(self, feats):
        maps = self.to_maps(feats[-1])
        return maps.mean(dim=(2, 3)), DenseClassMaps(maps)


class Unused(LinearHead):
    def __init__(self):
        super().__init__()
        self.more = nn.Conv2d(2, 3, 1)


class NormalizedTogether(LinearHead):
    def localize(self, feats):
        return super().localize([feats[-1] / feats[-1].max()])


class WrongMaps(LinearHead):
    """With another method of its class maps."""

    def localize(self, feats):
        scores, maps = super().localize(feats)
        setattr(maps, *self.method)
        return scores, maps


class Flat(WrongMaps):
    method = 'of_classes', lambda classes: torch.zeros(*classes.shape, 16)


class Weighted(WrongMaps):
    method = 'weighted_sum', lambda weights: torch.zeros(2, 1, 4, 4)


@pytest.mark.parametrize('head, sentence', [
    (Flat, 'of_classes gives'), (NormalizedTogether, 'depend on the other images'),
    (Unused, 'no loss reaches more.weight, more.bias'), (Weighted, 'weighted_sum is not')])
def test_a_wrong_head_is_found(head, sentence):
    feats = (torch.rand(2, 2, 4, 4), )
    check_head(LinearHead(), feats)
    with pytest.raises(AssertionError, match=sentence):
        check_head(head(), feats)


class ConstantHead(WSOLHead):
    """Gives out fixed scores and maps."""

    def localize(self, feats):
        scores = torch.tensor([[0., 2, 1]])
        maps = torch.arange(12.).reshape(1, 3, 2, 2)
        return scores, DenseClassMaps(maps)


def test_owns_no_layer_and_trains_with_its_scores():
    head = ConstantHead(3)
    assert not list(head.parameters())
    loss = head.loss((), labelled(0))['loss']
    expected = -torch.tensor([[0., 2, 1]]).softmax(1)[0, 0].log()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize('num_boxes, labels', [(1, [1]), (2, [1, 2]), (5, [1, 2, 0])])
def test_number_of_boxes(num_boxes, labels):
    result, = ConstantHead(3, dict(map_rule='top1'), num_boxes).predict((), labelled(0))
    assert result.top_labels.tolist() == labels
    assert result.pred_boxes.shape == (len(labels), 4) and result.label_box.shape == (4, )
    assert result.score_map.tolist() == [[0, 1], [2, 3]]


def test_of_equal_scores_the_class_is_that_of_the_first_box():
    class Tied(ConstantHead):
        def localize(self, feats):
            return torch.ones(1, 5), DenseClassMaps(torch.arange(20.).reshape(1, 5, 2, 2))

    # torch.topk begins with class 2
    result, = Tied(5, dict(map_rule='top1')).predict((), labelled(0))
    assert result.pred_label.tolist() == result.top_labels[:1].tolist() == [0]
    assert result.pred_box.tolist() == result.pred_boxes[0].tolist()


@pytest.mark.parametrize('sample, count', [
    (DataSample(img_path='a.png'), 0), (DataSample(img_path='a.png').set_gt_label([0, 1]), 2)])
def test_training_needs_one_label(sample, count):
    with pytest.raises(UserError, match=rf'ACoLHead .* but a.png has {count};'):
        build_head('ACoLHead').loss(features_of('ACoLHead'), [*labelled(0), sample])


@pytest.mark.parametrize('shape', [(2, 2), (2, 5, 4, 4)])
def test_wrong_features_are_explained(shape):
    with pytest.raises(ValueError, match=r'CAMHead needs a feature map \(B, 2, h, w\), got \('):
        build_head('CAMHead')((torch.zeros(shape), ))


@pytest.mark.parametrize('name', ['scores', 'maps'])
def test_values_that_are_not_finite_name_the_image(name):
    class Diverged(WSOLHead):
        def localize(self, feats):
            scores, maps = torch.zeros(2, 3), torch.arange(24.).reshape(2, 3, 2, 2)
            dict(scores=scores, maps=maps)[name][1] = float('nan')
            return scores, DenseClassMaps(maps)

    samples = [*labelled(0), *labelled(0, img_path='b.jpg')]
    with pytest.raises(ValueError, match=f'b.jpg: its {name} are not finite'):
        Diverged(3).predict((), samples)


@pytest.mark.parametrize('make, sentence', [
    (lambda: ADL(gamma=80), 'gamma must be a share in [0, 1], got 80'),
    (lambda: ADL(p=-.1), 'p must be a share in [0, 1], got -0.1'),
    (lambda: ErasedCopy(float('nan')), 'gamma must be a share in [0, 1], got nan'),
    (lambda: build_head('ACoLHead', threshold=1.1), 'threshold must be a share in [0, 1], got'),
    (lambda: build_head('RethinkingCAMHead', tap_threshold=1.),
     'tap_threshold must be a share of the maximum in [0, 1)'),
    (lambda: build_head('SPGHead', thresholds=[(.7, .05), (.5, .6), (.7, .1)]),
     'thresholds must be a pair (high, low) for each of B2, B1 and C, with 0 <= low <= high <= 1'),
    (lambda: CAMHead(3, 2, num_boxes=0), 'num_boxes must be at least 1, got 0'),
])
def test_numbers_out_of_range(make, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        make()


# --- CAM -----------------------------------------------------------------------------------------
@pytest.fixture
def head():
    """Class 0 reads channel 0, class 1 channel 1, class 2 nothing."""
    head = build_head('CAMHead')
    head.fc.weight.data = torch.tensor([[1., 0], [0, 1], [0, 0]])
    head.fc.bias.data = torch.tensor([0., .5, 0])
    return head


@pytest.fixture
def features():
    """Channel 0 lights up at the left, channel 1, stronger, at the right."""
    features = torch.zeros(1, 2, 4, 4)
    features[0, 0, 1:3, :2] = 2
    features[0, 1, 1:3, 2:] = 4
    return features


def test_scores_by_hand(head, features):
    # means over 16 positions: 8 / 16 and 16 / 16, plus the bias
    torch.testing.assert_close(head((features, )), torch.tensor([[.5, 1.5, 0]]))


def test_predict_gives_each_class_its_own_box(head, features):
    result, = head.predict((features, ), labelled(0, size=(4, 4)))
    assert result.pred_label.item() == 1
    assert result.top_labels.tolist() == [1, 0, 2]
    assert result.pred_boxes.tolist() == [[2, 1, 4, 3], [0, 1, 2, 3], [0, 0, 4, 4]]
    assert result.pred_box.tolist() == [2, 1, 4, 3]
    assert result.label_box.tolist() == [0, 1, 2, 3]
    assert result.score_map.equal(features[0, 1]) and result.label_map.equal(features[0, 0])
    torch.testing.assert_close(result.pred_score, head((features, ))[0].softmax(0))


def test_predict_shares_a_combined_map(features):
    head = build_head('CAMHead', localizer=dict(map_rule='quadratic'))
    result, = head.predict((features, ), labelled(2, size=(4, 4)))
    assert result.pred_boxes.tolist() == [result.pred_box.tolist()] * 3
    assert result.label_box.equal(result.pred_box) and result.label_map.equal(result.score_map)
