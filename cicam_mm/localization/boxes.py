"""Boxes from score maps on any device."""
from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

import cicam_lite
from cicam_lite import BoxRule, resizing


def find_boxes(maps: Tensor,
               rule: BoxRule,
               theta: float,
               img_shape: tuple,
               ori_shape: tuple | None = None) -> np.ndarray:
    """Boxes of the score maps of one image; torch does the resizing if it is bilinear.

    Args:
        maps (Tensor): Shape (k, h, w) on the feature grid, minimum 0.
        rule (BoxRule): How to resize the maps and find the boxes.
        theta (float): Threshold as a share of a map's maximum.
        img_shape (tuple): (H, W) of the network's input.
        ori_shape (tuple, optional): See :func:`cicam_lite.find_boxes`. Defaults to None.

    Returns:
        np.ndarray: Shape (k, 4), x0, y0, x1, y1, int64.
    """
    return sweep_boxes(maps, rule, [theta], img_shape, ori_shape)[0]


def sweep_boxes(maps: Tensor,
                rule: BoxRule,
                thetas: Sequence[float],
                img_shape: tuple,
                ori_shape: tuple | None = None) -> np.ndarray:
    """The boxes of :func:`find_boxes` at each of T thresholds, shape (T, k, 4), resized once."""
    return cicam_lite.sweep_boxes(maps, rule, thetas, img_shape, ori_shape, RESIZINGS)


def upsample(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resizing of maps (B, k, h, w) to (B, k, *size), half-pixel centres."""
    return F.interpolate(maps, size=tuple(size[:2]), mode='bilinear', align_corners=False)


def bilinear(maps: Tensor, size: Sequence[int]) -> np.ndarray:
    """Bilinear resizing of the maps (k, h, w) of an image to (k, *size)."""
    return upsample(maps[None], size)[0].cpu().numpy()


def stretched(maps: Tensor, size: Sequence[int]) -> np.ndarray:
    """Like :func:`bilinear`, after normalizing each map to [0, 1].

    The maximum of the result may be below 1. A constant map becomes zeros.
    """
    maps = maps - maps.amin(dim=(1, 2), keepdim=True)
    highest = maps.amax(dim=(1, 2), keepdim=True)
    return bilinear(maps / highest.where(highest > 0, 1), size)


def bicubic(maps: Tensor, size: Sequence[int]) -> np.ndarray:
    """OpenCV's bicubic resizing of the maps (k, h, w) of an image to (k, *size), float64."""
    return resizing.bicubic(maps.cpu().numpy(), size)


#: By the name that a box rule refers to.
RESIZINGS = dict(bilinear=bilinear, bicubic=bicubic, stretched=stretched)
