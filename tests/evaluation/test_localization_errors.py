import numpy as np
import pytest
import torch
from mmpretrain.registry import METRICS

OBJECT = [0., 0, 9, 9]


def sample(pred_label, pred_box, gt_bboxes=(OBJECT, ), **fields):
    return dict(pred_label=torch.tensor([pred_label]), gt_label=torch.tensor([1]),
                pred_box=torch.tensor(pred_box), gt_bboxes=np.array(gt_bboxes, np.float32),
                img_path='a.jpg', **fields)


def evaluate(samples):
    metric = METRICS.build(dict(type='LocalizationErrors'))
    metric.process(None, samples)
    return metric.evaluate(size=len(samples))


def test_by_hand():
    metrics = evaluate([
        sample(0, [0, 0, 9, 9]),
        sample(1, [0, 0, 9, 9]),
        sample(1, [0, 0, 4, 4]),
        sample(1, [0, 0, 19, 19]),
        sample(1, [0, 0, 19, 19]),
        sample(1, [0, 0, 19, 19], [OBJECT, [10, 0, 19, 9]]),
        sample(1, [5, 5, 14, 14]),
        sample(0, [5, 5, 14, 14]),
    ])
    assert metrics == {
        'localization_errors/classification_error': 25, 'localization_errors/correct': 12.5,
        'localization_errors/multi_instance': 12.5, 'localization_errors/part': 12.5,
        'localization_errors/more': 25, 'localization_errors/others': 12.5,
    }


def test_context_mass_where_there_are_masks():
    score_map = torch.tensor([[0., 3], [1, 0]])
    masks = [[0, 1], [0, 1]], [[1, 0], [1, 255]]         # shares 1/4 and 3/4
    metrics = evaluate([sample(1, OBJECT, score_map=score_map, gt_mask=torch.tensor(mask))
                        for mask in masks[:1]])
    assert metrics['localization_errors/context_mass'] == 25
    metrics = evaluate([sample(1, OBJECT, score_map=score_map, gt_mask=np.array(mask))
                        for mask in masks])
    assert metrics['localization_errors/context_mass'] == 50


def test_context_mass_resizes_the_map_to_the_mask():
    mask = np.zeros((8, 8), np.uint8)
    mask[:, :4] = 1
    metrics = evaluate([sample(1, OBJECT, score_map=torch.ones(2, 2), gt_mask=mask)])
    assert metrics['localization_errors/context_mass'] == pytest.approx(50)


def test_errors_name_the_image():
    with pytest.raises(ValueError, match=r'a\.jpg: There is no ground-truth box'):
        evaluate([sample(1, OBJECT, np.zeros((0, 4)))])


def test_map_that_is_not_finite_is_named():
    score_map = torch.tensor([[0., float('nan')], [1, 0]])
    with pytest.raises(ValueError, match=r'a\.jpg: .* of the score map are not finite'):
        evaluate([sample(1, OBJECT, score_map=score_map, gt_mask=np.ones((2, 2)))])
