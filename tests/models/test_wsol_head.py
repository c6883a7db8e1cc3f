import pytest
import torch
from mmpretrain.structures import DataSample

from cicam_mm.localization import DenseClassMaps
from cicam_mm.models import CAMHead, WSOLHead


class ConstantHead(WSOLHead):
    """Gives out fixed scores and maps."""

    def localize(self, feats):
        scores = torch.tensor([[0., 2, 1]])
        maps = torch.arange(12.).reshape(1, 3, 2, 2)
        return scores, DenseClassMaps(maps)


def sample():
    return DataSample(metainfo=dict(img_shape=(2, 2), ori_shape=(2, 2))).set_gt_label(0)


def test_owns_no_layer_and_trains_with_its_scores():
    head = ConstantHead(3)
    assert not list(head.parameters())
    loss = head.loss((), [sample()])['loss']
    expected = -torch.tensor([[0., 2, 1]]).softmax(1)[0, 0].log()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize('num_boxes, labels', [(1, [1]), (2, [1, 2]), (5, [1, 2, 0])])
def test_number_of_boxes(num_boxes, labels):
    result, = ConstantHead(3, dict(map_rule='top1'), num_boxes).predict((), [sample()])
    assert result.top_labels.tolist() == labels
    assert result.pred_boxes.shape == (len(labels), 4) and result.label_box.shape == (4, )
    assert result.score_map.tolist() == [[0, 1], [2, 3]]


def test_of_equal_scores_the_class_is_that_of_the_first_box():
    class Tied(ConstantHead):
        def localize(self, feats):
            return torch.ones(1, 5), DenseClassMaps(torch.arange(20.).reshape(1, 5, 2, 2))

    # torch.topk begins with class 2
    result, = Tied(5, dict(map_rule='top1')).predict((), [sample()])
    assert result.pred_label.tolist() == result.top_labels[:1].tolist() == [0]
    assert result.pred_box.tolist() == result.pred_boxes[0].tolist()


def test_missing_localize_is_an_error_at_once():
    class Forgetful(WSOLHead):
        def classify(self, features):
            return features

    with pytest.raises(TypeError, match='Forgetful cannot localize; implement its method'):
        Forgetful(3)


def test_no_boxes_are_refused():
    with pytest.raises(ValueError, match='num_boxes must be at least 1, got 0'):
        CAMHead(3, 2, num_boxes=0)


@pytest.mark.parametrize('name', ['scores', 'maps'])
def test_values_that_are_not_finite_name_the_image(name):
    class Diverged(WSOLHead):
        def localize(self, feats):
            scores, maps = torch.zeros(2, 3), torch.arange(24.).reshape(2, 3, 2, 2)
            dict(scores=scores, maps=maps)[name][1] = float('nan')
            return scores, DenseClassMaps(maps)

    samples = [sample(), sample()]
    samples[1].set_metainfo(dict(img_path='b.jpg'))
    with pytest.raises(ValueError, match=f'b.jpg: its {name} are not finite'):
        Diverged(3).predict((), samples)
