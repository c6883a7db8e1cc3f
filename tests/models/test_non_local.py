import torch
import torch.nn.functional as F

from cicam_mm.models import NonLocalBlock


def test_starts_as_the_identity():
    block = NonLocalBlock(16)
    block.init_weights()
    x = torch.randn(2, 16, 4, 5)
    assert block(x).equal(x)


def test_is_the_formula():
    """y = x + BN(W(softmax(q k^T) v)), with the matrix over all pairs of positions."""
    block = NonLocalBlock(16, reduction=4).eval()
    torch.nn.init.normal_(block.norm.weight)
    x = torch.randn(2, 16, 3, 5)
    query, key, value = (conv(x).flatten(2) for conv in (block.query, block.key, block.value))
    weights = F.softmax(query.transpose(1, 2) @ key, dim=-1)
    attended = (weights @ value.transpose(1, 2)).transpose(1, 2).reshape(2, 16, 3, 5)
    expected = x + block.norm(block.mix(attended))
    torch.testing.assert_close(block(x), expected)
    assert not expected.equal(x)


def test_widths():
    block = NonLocalBlock(64)
    assert block.query.out_channels == block.key.out_channels == 8
    assert block.value.out_channels == block.mix.out_channels == 64
