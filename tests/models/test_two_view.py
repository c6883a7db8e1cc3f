import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

# Two channels; the mean of a channel is the score of the class it stands for.
CROP = torch.tensor([[[1., 1], [1, 1]], [[3, 3], [3, 3]]])  # scores 1, 3
WHOLE = torch.tensor([[[4., 4], [8, 0]], [[0, 2], [1, 1]]])  # scores 4, 1


class Features(nn.Module):
    """A backbone that takes the image for its features."""

    def forward(self, x):
        return (x, )


def build(head='CAMHead', **options):
    model = MODELS.build(dict(
        type='TwoViewClassifier',
        backbone=Features(),
        head=dict(type=head, num_classes=2, in_channels=2, **options)))
    with torch.no_grad():
        model.head.fc.weight.copy_(torch.eye(2))
        model.head.fc.bias.zero_()
    return model.eval()


def views(stack=True):
    """A batch of two images, the second one with its views exchanged."""
    batches = [CROP, WHOLE], [WHOLE, CROP]
    shapes = (4, 4), (8, 6)
    return dict(
        inputs=[torch.stack(batch) if stack else batch for batch in batches],
        data_samples=[
            [DataSample(metainfo=dict(img_shape=(2, 2), ori_shape=shape)).set_gt_label(0)
             for _ in range(2)] for shape in shapes])


@pytest.mark.parametrize('step', ['val_step', 'test_step'])
@pytest.mark.parametrize('stack', [True, False])
def test_scores_of_the_first_view_map_of_the_second(step, stack):
    model = build(localizer=dict(map_rule='top1'))
    with torch.no_grad():
        first, second = getattr(model, step)(views(stack))
    assert first.pred_label.tolist() == [1] and second.pred_label.tolist() == [0]
    torch.testing.assert_close(first.pred_score, torch.tensor([1., 3]).softmax(0))
    assert first.top_labels.tolist() == [1, 0]
    assert first.score_map.tolist() == [[0, 2], [1, 1]]  # channel 1 of the second view
    assert first.label_map.tolist() == [[4, 4], [8, 0]]
    assert first.ori_shape == (8, 6)
    assert second.score_map.tolist() == [[0, 0], [0, 0]]


def test_maps_are_combined_in_the_order_of_the_first_view():
    with torch.no_grad():
        sample = build(localizer=dict(map_rule='quadratic')).test_step(views())[0]
    # minus the map of class 0, the second in the first view's order, though best in its own
    assert sample.score_map.tolist() == [[4, 4], [0, 8]]


def test_context_is_that_of_the_second_views_branch_1():
    model = build('DualCAMHead', pool=dict(size=(2, 2)), localizer=dict(map_rule='top1'))
    with torch.no_grad():
        model.head.pool.pool.copy_(torch.tensor([[[1., 0], [0, 0]], [[0, 0], [0, 1]]]))
        model.head.pool.projection.weight.fill_(1)
        model.head.pool.projection.bias.zero_()
        sample = model.test_step(views())[0]
    # branch 1 sees class 0 in the second view, so its upper left value counts twice
    assert sample.label_map.tolist() == [[8, 4], [8, 0]]


@pytest.mark.parametrize('number', [0, 1, 3])
def test_other_numbers_of_views_are_refused(number):
    two = views()
    data = {key: (value * 2)[:number] for key, value in two.items()} if number else {
        key: value[0] for key, value in two.items()}
    with pytest.raises(ValueError, match='is tested on two views of each image'):
        build().test_step(data)
