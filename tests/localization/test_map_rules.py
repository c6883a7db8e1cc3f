import pytest
import torch

from cicam_mm.localization import build_map_rule, class_coefficients, rank_classes


def rank_weights(rule, num_classes, **options):
    return build_map_rule(rule, **options).gamma(num_classes)


@pytest.mark.parametrize('rule, options, expected', [
    ('linear', {}, [1, .5, 0, -.5, -1]),
    ('quadratic', {}, [0, -1 / 16, -4 / 16, -9 / 16, -1]),
    ('quadratic_two_sided', dict(split=3), [1, .25, 0, 0, -1]),
    ('mean', dict(num_lowest=2), [1, 0, 0, -.5, -.5]),
    ('weighted_mean', dict(num_lowest=3), [1, 0, 0, -1 / 3, -2 / 3]),
    ('topk_mean', dict(k=2), [.5, .5, 0, 0, 0]),
    ('topk_mean', {}, [.2, .2, .2, .2, .2]),
])
def test_rank_weights(rule, options, expected):
    torch.testing.assert_close(rank_weights(rule, 5, **options), torch.tensor(expected).float())


@pytest.mark.parametrize('rule, options, message', [
    ('cubic', {}, r"unknown map rule 'cubic'; known are top1, linear, quadratic, "),
    ('quadratic_two_sided', dict(split=5), 'split=5 with 5 classes'),
    ('topk_mean', dict(k=6), 'k=6 with 5 classes'),
    ('mean', dict(num_lowest=5), 'at least 1 and below the number of classes, 5, got 5'),
    ('mean', dict(num_lowest=0), 'num_lowest'), ('weighted_mean', dict(num_lowest=0), 'num_low'),
    ('weighted_mean', dict(num_lowest=1), 'num_lowest of at least 2'),
])
def test_rank_weights_refuses(rule, options, message):
    with pytest.raises(ValueError, match=message):
        rank_weights(rule, 5, **options)


def test_coefficients_by_hand():
    # falling: class 1, then 2, then 0; equal scores: the lower class first
    gamma = torch.tensor([3., 2, 1])
    scores = torch.tensor([[0., 5, 2], [4, 4, 4]])
    assert class_coefficients(scores, gamma).tolist() == [[1, 3, 2], [3, 2, 1]]


def test_ranking_by_hand():
    scores = torch.tensor([[0.5, 2., -1., 2., -3.], [-0., 0., 1e-40, -1e-40, float('-inf')]])
    assert rank_classes(scores).tolist() == [[1, 3, 0, 2, 4], [2, 0, 1, 3, 4]]
