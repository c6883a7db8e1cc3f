from functools import partial

import pytest
import torch
from head_parts import build_head

from cicam_mm.models.rethinking_cam import thresholded_average_pool

build = partial(build_head, 'RethinkingCAMHead')


@pytest.fixture
def features():
    return torch.rand(2, 2, 4, 4)


@pytest.mark.parametrize('threshold, expected', [(0, 2.1), (.1, 3.), (.5, 4.)])
def test_pool_by_hand(threshold, expected):
    # the mean is 1.575; 0 is never active, .3 above 0 % of 4, 2 above 10 %, only 4 above 50 %
    channel = torch.tensor([[[[4., 2], [.3, 0]]]])
    torch.testing.assert_close(thresholded_average_pool(channel, threshold).item(), expected)


def test_pool_is_the_mean_of_a_constant_and_zero_without_activity():
    features = torch.stack([torch.full((2, 2), value) for value in (3., 0., -1.)])[None]
    for threshold in 0., .1, .9:
        assert thresholded_average_pool(features, threshold).tolist() == [[3, 0, 0]]


def test_pool_is_at_least_the_mean_and_its_gradient_stays_on_active_positions():
    features = torch.rand(2, 3, 4, 4, requires_grad=True)
    pooled = thresholded_average_pool(features, .3)
    assert (pooled > features.mean(dim=(2, 3))).all()
    pooled.sum().backward()
    active = features > .3 * features.amax(dim=(2, 3), keepdim=True)
    expected = active / active.sum(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(features.grad, expected)


def label_maps(head, features):
    return head.localize((features, ))[1].of_classes(torch.tensor([[0, 1, 2]] * 2))


def test_cam_is_nwc_minus_the_map_of_the_negative_weights(features):
    clamped, plain = build(), build(clamp_weights=False)
    plain.load_state_dict(clamped.state_dict())
    negative = build(clamp_weights=False)
    negative.fc.weight.data = -plain.fc.weight.data.clamp(max=0)
    assert negative.fc.weight.any() and plain.fc.weight.max() > 0
    difference = label_maps(clamped, features) - label_maps(negative, features)
    torch.testing.assert_close(label_maps(plain, features), difference)
    assert clamped((features, )).equal(plain((features, )))  # scores keep the signs
