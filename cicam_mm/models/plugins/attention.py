"""Dot-product attention over positions, in memory linear in their number."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from cicam_mm.compat import is_exporting

# Weights of a batch that are kept for the backward pass: 16 MB in float32, which the caches hold.
# Of more weights than that, blocks of at most BLOCK_WEIGHTS are computed again in the backward
# pass. Blocks of 2**20 to 2**22 cost the same within a few percent, with AVX2 and with AVX-512.
KEPT_WEIGHTS, BLOCK_WEIGHTS = 2**22, 2**21

# Unscaled scores easily lie a hundred below the largest of their row, where exp is denormal and
# slows all that follows down, up to twentyfold. exp(-50) is as good as zero even in float64.
LOWEST_SCORE = -50


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Average the values over all positions, weighted by the softmax of query-key products.

    The embedded Gaussian non-local operation, unscaled. On the CPU softmax and sums are in
    float32 or better, also under autocast. Either of the last two dimensions may be the dense
    one in memory; none is copied for it.

    Args:
        query (Tensor): Queries, (B, N, d).
        key (Tensor): Keys, (B, M, d).
        value (Tensor): Values, (B, M, c).

    Returns:
        Tensor: ``softmax(query @ key.mT) @ value``, (B, N, c), of the type of ``value``.
    """
    if query.device.type != 'cpu' or is_exporting():
        return _fused(query, key, value)
    few = len(query) * query.shape[1] * key.shape[1] <= KEPT_WEIGHTS
    average = _average if few else _average_in_blocks
    exact = torch.promote_types(value.dtype, torch.float32)
    with torch.autocast('cpu', enabled=False):
        return average(query.to(exact), key.to(exact), value.to(exact)).to(value.dtype)


def _fused(query, key, value):
    query, key, value = (x.contiguous().unsqueeze(1) for x in (query, key, value))  # one head
    return F.scaled_dot_product_attention(query, key, value, scale=1.0).squeeze(1)


def _average(query, key, value):
    scores = query @ key.mT
    with torch.no_grad():  # softmax sends no gradient worth its name to what is cut off
        scores.clamp_(min=scores.amax(2, keepdim=True) + LOWEST_SCORE)
    return torch.softmax(scores, dim=2) @ value


def _average_in_blocks(query, key, value):
    """A block is some queries of one image, since gradients of keys and values add up over the
    blocks of an image; or, where these are small, all queries of some images."""
    weights_of_image = query.shape[1] * key.shape[1]
    images = max(BLOCK_WEIGHTS // weights_of_image, 1)
    rows = max(BLOCK_WEIGHTS // key.shape[1], 1)
    blocks = [checkpoint(_average, rows_of_images, keys, values, use_reentrant=False,
                         preserve_rng_state=False)
              for queries, keys, values in zip(*(x.split(images) for x in (query, key, value)),
                                               strict=True)
              for rows_of_images in queries.split(rows, dim=1)]
    return torch.cat([block.flatten(0, 1) for block in blocks]).unflatten(0, query.shape[:2])
