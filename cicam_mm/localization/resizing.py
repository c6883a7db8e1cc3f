"""From the feature grid to pixels."""
from collections.abc import Sequence

import cv2
import numpy as np
import torch.nn.functional as F
from torch import Tensor


def upsample(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resizing of maps (B, k, h, w) to (B, k, *size), half-pixel centres."""
    return F.interpolate(maps, size=tuple(size[:2]), mode='bilinear', align_corners=False)


def bilinear(maps: Tensor, size: Sequence[int]) -> np.ndarray:
    """Bilinear resizing of the maps (k, h, w) of an image to (k, *size)."""
    return upsample(maps[None], size)[0].cpu().numpy()


def normalized_bilinear(maps: Tensor, size: Sequence[int]) -> np.ndarray:
    """As :func:`bilinear`, but maps are stretched to [0, 1] before: an edge may stay below 1.

    A constant map becomes zeros.
    """
    maps = maps - maps.amin(dim=(1, 2), keepdim=True)
    highest = maps.amax(dim=(1, 2), keepdim=True)
    return bilinear(maps / highest.where(highest > 0, 1), size)


def bicubic(maps: Tensor, size: Sequence[int]) -> np.ndarray:
    """:func:`resize_bicubic` of the maps (k, h, w) of an image to (k, *size)."""
    return np.stack([resize_bicubic(score_map, size) for score_map in maps.cpu().numpy()])


def resize_bicubic(score_map: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """OpenCV's bicubic resizing of a map (h, w) to size (H, W), float64.

    It may go a little below the minimum and above the maximum.
    """
    height, width = size[:2]
    return cv2.resize(np.asarray(score_map, np.float64), (width, height),
                      interpolation=cv2.INTER_CUBIC)
