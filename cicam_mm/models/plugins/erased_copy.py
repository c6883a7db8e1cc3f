import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from .erasing import check_share, keep_mask


@MODELS.register_module()
class ErasedCopy(nn.Module):
    """Appends a copy of the batch with its most active part erased, in training only.

    In EIL, x and x' = x [a < gamma max(a)] with a = mean_c x_c (:func:`keep_mask`) go through the
    same following layers, and :class:`EILHead` adds their losses. In testing, the layer does
    nothing.

    MEIL has such layers at several depths. Each of them copies and erases its whole input: after
    two, the batch holds x, x', and an erased copy of either, four times the images. MEIL's depths
    and wiring are unverified: the released code has EIL only.

    Args:
        gamma (float): Share of the maximum from which on is erased, in [0, 1]. Defaults to 0.7,
            as in EIL's release; the paper's value for each data set is unverified.

    Raises:
        ValueError: If gamma is outside [0, 1].
    """

    _abbr_ = 'erased_copy'

    def __init__(self, gamma: float = 0.7):
        super().__init__()
        check_share('gamma', gamma)
        self.gamma = gamma

    def forward(self, x: Tensor) -> Tensor:
        """From (B, c, h, w) to (2 B, c, h, w) in training, with the erased images last."""
        return torch.cat([x, x * keep_mask(x, self.gamma)]) if self.training else x
