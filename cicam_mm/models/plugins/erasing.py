"""Which positions of a feature map survive when its most active part is erased."""
import torch
from torch import Tensor

from cicam_mm.errors import UserError


@torch.no_grad()
def keep_mask(features: Tensor, gamma: float) -> Tensor:
    """Where the mean over the channels is below a share of its maximum, image by image.

    With a = mean_c X_c, a position is kept where a < gamma * max(a): the drop mask of ADL and
    EIL. No gradient passes it. Features that are zero everywhere are erased everywhere, since
    0 < 0 is false; a negative maximum, which a ReLU rules out, keeps everything for gamma < 1.

    Args:
        features (Tensor): X, shape (B, c, h, w).
        gamma (float): Share of the maximum; above 1 nothing of non-negative features is erased.

    Returns:
        Tensor: Shape (B, 1, h, w), 1 where kept, else 0, of the type of ``features``.
    """
    attention = features.mean(dim=1, keepdim=True)
    return (attention < gamma * attention.amax(dim=(2, 3), keepdim=True)).to(features)


def check_share(name: str, value: float) -> None:
    """Raise a ValueError unless the option of that name is a share in [0, 1]."""
    if not 0 <= value <= 1:
        raise UserError(f'{name} is a share in [0, 1], got {value}.')
