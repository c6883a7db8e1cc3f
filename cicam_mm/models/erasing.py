"""Erasing the most active part of a feature map."""
import torch
from torch import Tensor

from cicam_mm.utils.errors import UserError


@torch.no_grad()
def keep_mask(features: Tensor, gamma: float) -> Tensor:
    """Where the channel mean is below a share of its maximum, separately for each image.

    With a = mean_c X_c, positions with a < gamma * max(a) are kept: the drop mask of ADL and EIL.
    It has no gradient. Features that are zero everywhere are erased everywhere, because 0 < 0 is
    false; with a negative maximum, which a ReLU rules out, everything is kept for gamma < 1.
    With gamma above 1, nothing of non-negative features is erased. The mask (B, 1, h, w) is 1
    where kept and 0 elsewhere, with the dtype of the features (B, c, h, w).
    """
    attention = features.mean(dim=1, keepdim=True)
    return (attention < gamma * attention.amax(dim=(2, 3), keepdim=True)).to(features)


def check_share(name: str, value: float) -> None:
    """Raise a UserError unless an option is a share in [0, 1]."""
    if not 0 <= value <= 1:
        raise UserError(f'{name} must be a share in [0, 1], got {value}.')
