import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .erasing import check_share, keep_mask


@MODELS.register_module()
class ErasedCopy(nn.Module):
    """Appends a copy of the batch with its most active part erased, in training only.

    EIL: x and x' = x [a < gamma max(a)] with a = mean_c x_c go through the same following layers
    (:func:`keep_mask`); :class:`EILHead` sums their losses. In testing nothing is done.

    At several depths, which is MEIL, each one erases all that reaches it: two make x, x', and
    both erased again, four batches in all. How MEIL's depths were wired, and which they are, is
    unverified: the released code has EIL alone.

    Args:
        gamma (float): Share of the maximum from which on is erased, in [0, 1]. Defaults to 0.7,
            as released for EIL; the paper's value for each data set is unverified.

    Raises:
        ValueError: If gamma is outside [0, 1].
    """

    _abbr_ = 'erased_copy'

    def __init__(self, gamma: float = 0.7):
        super().__init__()
        check_share('gamma', gamma)
        self.gamma = gamma

    def forward(self, x: Tensor) -> Tensor:
        """From (B, c, h, w) to (2 B, c, h, w) in training, the erased images last."""
        return torch.cat([x, x * keep_mask(x, self.gamma)]) if self.training else x
