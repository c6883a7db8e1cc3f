import numpy as np
import pytest
import torch
from mmpretrain.registry import METRICS

from cicam_mm.evaluation.localization_errors import context_share, error_kind

OBJECT = [0, 0, 9, 9]
SECOND = [10, 0, 19, 9]


@pytest.mark.parametrize(('box', 'truths', 'kind'), [
    ([0, 0, 9, 5], [OBJECT], 'correct'),                   # IoU 60 / 100
    ([0, 0, 9, 4], [OBJECT], 'part'),                      # IoU .5 is not above it
    ([0, 0, 19, 9], [OBJECT], 'more'),                     # IoU .5, IoB .5 is not above it
    ([3, 0, 19, 9], [OBJECT], 'more'),                     # IoG exactly .7, IoB 70 / 170
    ([4, 0, 19, 9], [OBJECT], 'others'),                   # IoG .6
    ([7, 0, 12, 9], [OBJECT, SECOND], 'others'),           # IoG .3 and .3, IoB .5
    ([6, 0, 13, 9], [OBJECT, SECOND], 'multi_instance'),   # IoG .4 and .4
    ([30, 30, 39, 39], [OBJECT, SECOND], 'others'),        # all IoU 0
    ([0, 0, 9, 9], [SECOND, OBJECT], 'correct'),
])
def test_by_hand(box, truths, kind):
    assert error_kind(True, box, truths) == kind


def test_of_equal_truths_the_first_is_the_best():
    box, inside, around = [0, 0, 9, 9], [0, 0, 4, 4], [0, 0, 19, 19]      # IoU 1 / 4 with both
    assert error_kind(True, box, [inside, around]) == 'more'
    assert error_kind(True, box, [around, inside]) == 'part'


def test_context_share():
    score_map = np.array([[3., 1, -5], [2, 4, 9]])
    mask = np.array([[1, 0, 0], [0, 1, 255]])
    assert context_share(score_map, mask) == 3 / 10


@pytest.mark.parametrize('value', [0., -1.])
def test_map_without_mass_is_an_even_one(value):
    assert context_share(np.full((1, 4), value), np.array([[1, 0, 0, 255]])) == 2 / 3


def test_context_share_in_half_precision():
    """Sums beyond 65504 are no number of 16 bits."""
    assert context_share(np.full((400, 400), 60., np.float16), np.eye(400)) == 399 / 400


def sample(pred_label, pred_box, gt_bboxes=(OBJECT, ), **fields):
    return dict(pred_label=torch.tensor([pred_label]), gt_label=torch.tensor([1]),
                pred_box=torch.tensor(pred_box), gt_bboxes=np.array(gt_bboxes, np.float32),
                img_path='a.jpg', **fields)


def evaluate(samples):
    metric = METRICS.build(dict(type='LocalizationErrors'))
    metric.process(None, samples)
    found = metric.evaluate(size=len(samples))
    return {name.removeprefix('localization_errors/'): value for name, value in found.items()}


def test_metric_by_hand():
    assert evaluate([
        sample(0, OBJECT),
        sample(1, OBJECT),
        sample(1, [0, 0, 4, 4]),
        sample(1, [0, 0, 19, 19]),
        sample(1, [0, 0, 19, 19]),
        sample(1, [0, 0, 19, 19], [OBJECT, SECOND]),
        sample(1, [5, 5, 14, 14]),
        sample(0, [5, 5, 14, 14]),
    ]) == dict(classification_error=25, correct=12.5, multi_instance=12.5, part=12.5, more=25,
               others=12.5)


def test_context_mass_where_there_are_masks():
    score_map = torch.tensor([[0., 3], [1, 0]])
    masks = [[0, 1], [0, 1]], [[1, 0], [1, 255]]         # shares 1/4 and 3/4
    samples = [sample(1, OBJECT, score_map=score_map, gt_mask=np.array(mask)) for mask in masks]
    assert evaluate([samples[0], sample(1, OBJECT)])['context_mass'] == 25
    assert evaluate(samples)['context_mass'] == 50


def test_map_that_is_not_finite_is_named():
    score_map = torch.tensor([[0., float('nan')], [1, 0]])
    with pytest.raises(ValueError, match=r'a\.jpg: .* of the score map are not finite'):
        evaluate([sample(1, OBJECT, score_map=score_map, gt_mask=np.ones((2, 2)))])
