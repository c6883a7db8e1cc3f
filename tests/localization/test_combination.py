import pytest
import torch

from cicam_mm.localization import MAP_RULES, activation_maps, combine_weights, rank_weights


@pytest.mark.parametrize('rule, options, expected', [
    ('top1', {}, [1, 0, 0, 0, 0]),
    ('linear', {}, [1, .5, 0, -.5, -1]),
    ('quadratic', {}, [0, -1 / 16, -4 / 16, -9 / 16, -1]),
    ('quadratic_two_sided', dict(split=3), [1, .25, 0, 0, -1]),
    ('mean', dict(num_lowest=2), [1, 0, 0, -.5, -.5]),
    ('weighted_mean', dict(num_lowest=3), [1, 0, 0, -1 / 3, -2 / 3]),
])
def test_rank_weights(rule, options, expected):
    torch.testing.assert_close(rank_weights(rule, 5, **options), torch.tensor(expected).float())


def test_two_sided_splits_in_half_by_default():
    gamma = rank_weights('quadratic_two_sided', 200)
    assert gamma[0] == 1 and gamma[99] == gamma[100] == 0 and gamma[199] == -1


@pytest.mark.parametrize('rule, options, message', [
    ('cubic', {}, r"unknown map rule 'cubic'; known are top1, linear, quadratic, "),
    ('quadratic_two_sided', dict(split=5), 'split=5 with 5 classes'),
    ('mean', dict(num_lowest=5), 'the 5 lowest maps of 5 classes include the top one'),
])
def test_rank_weights_refuses(rule, options, message):
    with pytest.raises(ValueError, match=message):
        rank_weights(rule, 5, **options)


def test_activation_maps_by_hand():
    # Eq. 1 with two channels of 2 x 2: W = [1, -1] gives X_0 - X_1
    features = torch.tensor([[[[1., 2], [3, 4]], [[4, 3], [2, 1]]]])
    maps = activation_maps(features, torch.tensor([[[1., -1], [0, 2]]]))
    assert maps.tolist() == [[[[-3, -1], [1, 3]], [[8, 6], [4, 2]]]]


@pytest.mark.parametrize('rule', MAP_RULES)
def test_combining_weights_is_combining_maps(rule):
    """The identity behind the speed: Eq. 3 on all n maps, sorted image by image."""
    features, weight, scores = torch.randn(3, 8, 4, 5), torch.randn(30, 8), torch.randn(3, 30)
    gamma = rank_weights(rule, 30)
    all_maps = torch.einsum('nc,bchw->bnhw', weight, features)
    expected = torch.stack([
        sum(gamma[k] * maps[label] for k, label in enumerate(order.tolist()))
        for maps, order in zip(all_maps, scores.argsort(descending=True), strict=True)
    ])
    combined = combine_weights(weight, scores, gamma)
    torch.testing.assert_close(
        activation_maps(features, combined[:, None])[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_common_offset_drops_out_of_the_linear_rule():
    features, weight, scores = torch.randn(1, 8, 4, 4), torch.randn(6, 8), torch.randn(1, 6)
    gamma = rank_weights('linear', 6)
    moved = combine_weights(weight + torch.randn(8), scores, gamma)
    torch.testing.assert_close(
        activation_maps(features, moved[:, None]),
        activation_maps(features, combine_weights(weight, scores, gamma)[:, None]))
