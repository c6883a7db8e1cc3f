"""SPG's loss: the sure pixels of one branch's attention are another branch's labels."""
import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

IGNORED = 255

# With fewer object pixels than this, the high threshold gives way to a share of the maximum.
FEWEST, SHARE_OF_MAXIMUM = 30, 0.7


@torch.no_grad()
def sure_pixels(attention: Tensor, high: float, low: float) -> Tensor:
    """Labels for pixels: object above ``high``, background below ``low``, else ignored.

    An image with fewer than 30 pixels above ``high`` gets 0.7 of its maximum instead; other
    images keep ``high`` (in the release the rest of the batch loses it). Background goes before
    object where both hold. NaN is ignored.

    Args:
        attention (Tensor): Shape (B, 1, H, W), in [0, 1].
        high (float): Above it is object.
        low (float): Below it is background.

    Returns:
        Tensor: Shape (B, 1, H, W), uint8: 1 object, 0 background, 255 ignored.
    """
    few = (attention > high).sum(dim=(2, 3), keepdim=True) < FEWEST
    highest = attention.amax(dim=(2, 3), keepdim=True)
    cut = torch.where(few, SHARE_OF_MAXIMUM * highest, high)
    labels = torch.full_like(attention, IGNORED, dtype=torch.uint8)
    labels[attention > cut] = 1
    labels[attention < low] = 0
    return labels


def sure_pixel_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy, averaged over the pixels of the batch that are not ignored.

    The batch is that of all processes, as far as these average their gradients. Where all is
    ignored, the loss is 0 (NaN in the released codes).

    Args:
        logits (Tensor): Shape (B, 1, H, W).
        labels (Tensor): Same shape, as of :func:`sure_pixels`.

    Returns:
        Tensor: A scalar.
    """
    sure = (labels != IGNORED).to(logits)
    count = sure.sum()
    all_reduce(count, op='mean')
    total = F.binary_cross_entropy_with_logits(
        logits, (labels == 1).to(logits), weight=sure, reduction='sum')
    return total / count.clamp(min=torch.finfo(count.dtype).tiny)
