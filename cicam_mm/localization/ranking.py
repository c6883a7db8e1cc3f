"""Eq. 2: the classes of an image in order of their scores."""

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
    return scores.argsort(dim=1, descending=True, stable=True)
