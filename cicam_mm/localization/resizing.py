"""Resizing of maps from the feature grid to pixels, on any device."""
from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from cicam_lite import resizing


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


def nearest(maps: Tensor, size: Sequence[int]) -> np.ndarray:
    """Each value of the maps (k, h, w) of an image repeated, to (k, *size)."""
    return resizing.nearest(maps.cpu().numpy(), size)


def bicubic(maps: Tensor, size: Sequence[int]) -> np.ndarray:
    """OpenCV's bicubic resizing of the maps (k, h, w) of an image to (k, *size), float64."""
    return resizing.bicubic(maps.cpu().numpy(), size)


#: By the name that a box rule refers to.
RESIZINGS = dict(bilinear=bilinear, bicubic=bicubic, nearest=nearest, stretched=stretched)
