import pytest
import torch
import torch.nn.functional as F

from cicam_mm.models import NonLocalBlock

pytestmark = pytest.mark.usefixtures('on_device')


def test_starts_as_the_identity():
    block = NonLocalBlock(16)
    block.init_weights()
    x = torch.randn(2, 16, 4, 5)
    assert block(x).equal(x)


def formula(block, x):
    """y = x + BN(W(softmax(q k^T) v)), with the matrix over all pairs of positions."""
    query, key, value = (conv(x).flatten(2) for conv in (block.query, block.key, block.value))
    weights = F.softmax(query.transpose(1, 2) @ key, dim=-1)
    attended = (weights @ value.transpose(1, 2)).transpose(1, 2).reshape(x.shape)
    return x + block.norm(block.mix(attended))


@pytest.mark.parametrize('order', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('gradient_order', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('batch', [1, 2])
def test_is_the_formula(batch, order, gradient_order):
    """A single image counts for itself: its strides are ambiguous."""
    block = NonLocalBlock(16, reduction=4).double().eval()
    torch.nn.init.normal_(block.norm.weight)
    x = torch.randn(batch, 16, 3, 5, dtype=torch.float64)
    gradient = torch.randn_like(x).contiguous(memory_format=gradient_order)
    expected, actual = formula(block, x), block(x.contiguous(memory_format=order))
    torch.testing.assert_close(actual, expected)
    assert not expected.equal(x)
    torch.testing.assert_close(torch.autograd.grad(actual, block.parameters(), gradient),
                               torch.autograd.grad(expected, block.parameters(), gradient))


def test_keeps_channels_last_order():
    x = torch.randn(2, 16, 3, 5).contiguous(memory_format=torch.channels_last)
    assert NonLocalBlock(16)(x).is_contiguous(memory_format=torch.channels_last)
