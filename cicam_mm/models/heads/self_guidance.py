"""SPG's loss: pixels with a confident attention in one branch are labels for another."""
import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

IGNORED = 255

# With fewer object pixels, the high threshold becomes a share of the maximum.
MIN_OBJECT_PIXELS, SHARE_OF_MAXIMUM = 30, 0.7


@torch.no_grad()
def sure_pixels(attention: Tensor, high: float, low: float) -> Tensor:
    """Pixel labels: object above ``high``, background below ``low``, ignored in between.

    For an image with fewer than 30 pixels above ``high``, the threshold is 0.7 of its maximum
    instead; other images keep ``high`` (in the release, the lower threshold also applies to the
    rest of the batch). A pixel that qualifies as both is background. NaN is ignored.

    Args:
        attention (Tensor): Shape (B, 1, H, W), in [0, 1].
        high (float): Threshold above which pixels are object.
        low (float): Threshold below which pixels are background.

    Returns:
        Tensor: Shape (B, 1, H, W), uint8: 1 object, 0 background, 255 ignored.
    """
    few = (attention > high).sum(dim=(2, 3), keepdim=True) < MIN_OBJECT_PIXELS
    highest = attention.amax(dim=(2, 3), keepdim=True)
    cut = torch.where(few, SHARE_OF_MAXIMUM * highest, high)
    labels = torch.full_like(attention, IGNORED, dtype=torch.uint8)
    labels[attention > cut] = 1
    labels[attention < low] = 0
    return labels


def sure_pixel_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy, averaged over the pixels of the batch that are not ignored.

    The average is over the batch of all processes, assuming that they average their gradients. If
    all pixels are ignored, the loss is 0 (NaN in the released code).

    Args:
        logits (Tensor): Shape (B, 1, H, W).
        labels (Tensor): Same shape, from :func:`sure_pixels`.

    Returns:
        Tensor: A scalar.
    """
    sure = (labels != IGNORED).to(logits)
    count = sure.sum()
    all_reduce(count, op='mean')
    total = F.binary_cross_entropy_with_logits(
        logits, (labels == 1).to(logits), weight=sure, reduction='sum')
    return total / count.clamp(min=torch.finfo(count.dtype).tiny)
