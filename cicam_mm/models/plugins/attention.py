"""Dot-product attention over positions, in memory linear in their number."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from cicam_mm.compat import is_exporting

# Up to PLAIN weights (16 MB in float32) are fastest kept whole for the backward pass. More of them
# pass through the caches in blocks of about BLOCK, of at least ROWS queries of every image, with
# which matrix products are still efficient. Measured on two cores.
PLAIN, BLOCK, ROWS = 2**22, 2**21, 64

# Unscaled scores easily lie a hundred below the largest of their row, where exp is denormal and
# slows all that follows down, up to twentyfold. exp(-50) is as good as zero even in float64.
LEAST = -50


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Average the values over all positions, weighted by the softmax of query-key products.

    The embedded Gaussian non-local operation, unscaled. On the CPU softmax and sums are in
    float32 or better, also under autocast.

    Args:
        query (Tensor): Queries, (B, N, d).
        key (Tensor): Keys, (B, M, d).
        value (Tensor): Values, (B, M, c).

    Returns:
        Tensor: ``softmax(query @ key.mT) @ value``, (B, N, c), of the type of ``value``.
    """
    if query.device.type != 'cpu' or is_exporting():
        return _fused(query, key, value)
    few = len(query) * query.shape[1] * key.shape[1] <= PLAIN
    mix = _plain if few else _Blocked.apply
    exact = torch.promote_types(value.dtype, torch.float32)
    with torch.autocast('cpu', enabled=False):
        return mix(query.to(exact), key.to(exact), value.to(exact)).to(value.dtype)


def _fused(query, key, value):
    query, key, value = (x.contiguous().unsqueeze(1) for x in (query, key, value))  # one head
    return F.scaled_dot_product_attention(query, key, value, scale=1.0).squeeze(1)


def _plain(query, key, value):
    scores = query @ key.mT
    with torch.no_grad():  # softmax sends no gradient worth its name to what is cut off
        scores.clamp_(min=scores.amax(2, keepdim=True) + LEAST)
    return torch.softmax(scores, dim=2) @ value


class _Blocked(torch.autograd.Function):
    """Attention for a block of queries at a time; the backward pass recomputes the weights.

    Weights are kept relative to the largest of their row; the division by their sum is left to
    the values' side, which is narrower.
    """

    @staticmethod
    def forward(ctx, query, key, value):
        query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        out = value.new_empty(*query.shape[:2], value.shape[2])
        largest, sums = query.new_empty(2, *query.shape[:2], 1)
        for block, weights in _blocks(query, key):
            torch.bmm(query[:, block], key.mT, out=weights)
            largest[:, block] = weights.amax(2, keepdim=True)
            weights.sub_(largest[:, block]).clamp_(min=LEAST).exp_()
            sums[:, block] = weights.sum(2, keepdim=True)
            out[:, block] = torch.bmm(weights, value)  # bmm is slow with a part as its out
        out.div_(sums)
        ctx.save_for_backward(query, key, value, out, largest, sums)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        query, key, value, out, largest, sums = ctx.saved_tensors
        # One more channel subtracts a constant from each row within the matrix product: from the
        # scores the largest, from the gradient of the weights its mean.
        grad = grad / sums
        mean = (grad * out).sum(2, keepdim=True)
        ones = torch.ones_like(key[..., :1])
        query_shifted, key_one = torch.cat([query, -largest], 2), torch.cat([key, ones], 2)
        grad_shifted, value_one = torch.cat([grad, -mean], 2), torch.cat([value, ones], 2)
        # a product with a transposed right operand is slower where there are many channels
        values_one = value_one.mT.contiguous()
        grad_query = torch.empty_like(query)
        grad_key, grad_value = (x.new_zeros(x.mT.shape) for x in (key, value))
        for block, weights, grad_scores in _blocks(query, key, buffers=2):
            torch.bmm(query_shifted[:, block], key_one.mT, out=weights)
            weights.clamp_(min=LEAST).exp_()
            grad_value.baddbmm_(grad[:, block].mT, weights)
            torch.bmm(grad_shifted[:, block], values_one, out=grad_scores).mul_(weights)
            grad_query[:, block] = torch.bmm(grad_scores, key)
            grad_key.baddbmm_(query[:, block].mT, grad_scores)
        return grad_query, grad_key.mT, grad_value.mT


def _blocks(query, key, buffers=1):
    """Yield slices of the queries, each with buffers (B, rows, M) used again for the next."""
    batch, positions, _ = query.shape
    rows = min(max(ROWS, BLOCK // (batch * key.shape[1])), positions)
    whole = query.new_empty(buffers, batch * rows * key.shape[1])
    for start in range(0, positions, rows):
        stop = min(start + rows, positions)
        shape = (batch, stop - start, key.shape[1])
        yield slice(start, stop), *(buffer[:math.prod(shape)].view(shape) for buffer in whole)
