import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from cicam_mm.localization import LinearClassMaps


def build(**options):
    options = dict(num_classes=3, in_channels=2) | options
    return MODELS.build(dict(type='CAMHead', **options))


def sample(label=None, size=(4, 4)):
    data_sample = DataSample(metainfo=dict(img_shape=size, ori_shape=size))
    return data_sample if label is None else data_sample.set_gt_label(label)


@pytest.fixture
def head():
    """Class 0 reads channel 0, class 1 channel 1, class 2 nothing."""
    head = build()
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


def test_mean_of_a_map_is_its_score_without_bias(head):
    features = torch.randn(2, 2, 5, 5)
    maps = head.localizer.score_maps(
        LinearClassMaps(features, head.fc.weight), None, torch.tensor([[0, 1]] * 2))
    lowest = (features[:, :2]).amin(dim=(2, 3))
    torch.testing.assert_close(
        maps.mean(dim=(2, 3)) + lowest, head((features, ))[:, :2] - head.fc.bias[:2])


def test_predict_gives_each_class_its_own_box(head, features):
    result, = head.predict((features, ), [sample(label=0)])
    assert result.pred_label.item() == 1
    assert result.top_labels.tolist() == [1, 0, 2]
    assert result.pred_boxes.tolist() == [[2, 1, 4, 3], [0, 1, 2, 3], [0, 0, 4, 4]]
    assert result.pred_box.tolist() == [2, 1, 4, 3]
    assert result.label_box.tolist() == [0, 1, 2, 3]
    assert result.score_map.equal(features[0, 1]) and result.label_map.equal(features[0, 0])
    torch.testing.assert_close(result.pred_score, head((features, ))[0].softmax(0))


def test_predict_shares_a_combined_map(features):
    head = build(localizer=dict(map_rule='quadratic'))
    result, = head.predict((features, ), [sample(label=2)])
    assert result.pred_boxes.tolist() == [result.pred_box.tolist()] * 3
    assert result.label_box.equal(result.pred_box) and result.label_map.equal(result.score_map)


def test_predict_without_labels(head, features):
    result, = head.predict((features, ), [sample()])
    assert 'pred_box' in result and 'label_box' not in result


def test_scores_of_another_view_rank_the_classes(head, features):
    other = torch.tensor([[3., 1, 2]])
    result, = head.predict((features, ), [sample(label=1)], ranking_scores=other)
    assert result.top_labels.tolist() == [0, 2, 1]
    assert result.pred_box.tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(result.pred_score, other[0].softmax(0))


@pytest.mark.parametrize('shape', [(2, 2), (2, 5, 4, 4)])
def test_wrong_features_are_explained(head, shape):
    with pytest.raises(ValueError, match=r'CAMHead needs a feature map \(B, 2, h, w\), got \('):
        head((torch.zeros(shape), ))
