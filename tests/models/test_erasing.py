import pytest
import torch

from cicam_mm.models.erasing import check_share, keep_mask


def test_keep_mask_by_hand():
    # mean over two channels: 0, 1, 2, 4; 70 % of the maximum is 2.8, half of it 2
    features = torch.tensor([[[[0., 2], [4, 8]], [[0, 0], [0, 0]]]])
    assert keep_mask(features, .7).tolist() == [[[[1, 1], [1, 0]]]]
    assert keep_mask(features, .5).tolist() == [[[[1, 1], [0, 0]]]]
    assert keep_mask(features, 1.).tolist() == [[[[1, 1], [1, 0]]]]
    assert keep_mask(features, 1.01).all() and not keep_mask(features, 0.).any()


def test_each_image_has_its_own_maximum():
    features = torch.tensor([1., 2, 10, 20]).view(2, 1, 1, 2)
    assert keep_mask(features, .7).tolist() == [[[[1, 0]]], [[[1, 0]]]]


@pytest.mark.parametrize('value, gamma, kept', [
    (0, .7, False), (2, .7, False), (2, 1., False), (-1, .7, True), (-1, 1., False)])
def test_constant_features(value, gamma, kept):
    assert (keep_mask(torch.full((1, 3, 4, 4), float(value)), gamma) == kept).all()


def test_no_gradient_passes():
    assert not keep_mask(torch.randn(1, 2, 3, 3, requires_grad=True), .7).requires_grad


@pytest.mark.parametrize('value', [-.1, 1.1, float('nan')])
def test_shares(value):
    check_share('gamma', 0), check_share('gamma', 1)
    with pytest.raises(ValueError, match=r'gamma must be a share in \[0, 1\], got'):
        check_share('gamma', value)
