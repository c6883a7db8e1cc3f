import pytest
import torch

from cicam_mm.localization import (
    MAP_RULES,
    DenseClassMaps,
    LinearClassMaps,
    activation_maps,
    build_map_rule,
    class_coefficients,
)


def test_activation_maps_by_hand():
    # Eq. 1 with two channels of 2 x 2: W = [1, -1] gives X_0 - X_1
    features = torch.tensor([[[[1., 2], [3, 4]], [[4, 3], [2, 1]]]])
    maps = activation_maps(features, torch.tensor([[[1., -1], [0, 2]]]))
    assert maps.tolist() == [[[[-3, -1], [1, 3]], [[8, 6], [4, 2]]]]


def test_dense_maps_by_hand():
    maps = DenseClassMaps(torch.tensor([[[[1., 2]], [[3, 4]], [[5, 6]]],
                                        [[[7, 8]], [[9, 10]], [[11, 12]]]]))
    chosen = maps.of_classes(torch.tensor([[2, 0], [1, 1]]))
    assert chosen.tolist() == [[[[5, 6]], [[1, 2]]], [[[9, 10]], [[9, 10]]]]
    total = maps.weighted_sum(torch.tensor([[1, 0, -1], [0, 2, 1]]))
    assert total.tolist() == [[[[-4, -4]]], [[[29, 32]]]]


@pytest.mark.parametrize('rule', sorted({*MAP_RULES.module_dict} - {'top1'}))
def test_combined_map_is_the_sum_over_the_sorted_maps(rule):
    """Eq. 3 written out: all n maps, sorted image by image."""
    features, weight, scores = torch.randn(3, 8, 4, 5), torch.randn(30, 8), torch.randn(3, 30)
    bias = torch.randn(30)
    gamma = build_map_rule(rule).gamma(30)
    all_maps = torch.einsum('nc,bchw->bnhw', weight, features) + bias[:, None, None]
    expected = torch.stack([
        sum(gamma[k] * maps[label] for k, label in enumerate(order.tolist()))
        for maps, order in zip(all_maps, scores.argsort(descending=True), strict=True)])
    coefficients = class_coefficients(scores, gamma)
    for class_maps in LinearClassMaps(features, weight, bias), DenseClassMaps(all_maps):
        combined = class_maps.weighted_sum(coefficients)
        assert combined.shape == (3, 1, 4, 5)
        torch.testing.assert_close(combined[:, 0], expected, rtol=1e-5, atol=1e-5)
