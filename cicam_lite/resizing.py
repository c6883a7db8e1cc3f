"""From the feature grid to pixels, with OpenCV."""
from collections.abc import Sequence

import cv2
import numpy as np

from .normalization import normalize_map


def resize_bicubic(score_map: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """OpenCV's bicubic resizing of a map (h, w) to size (H, W), float64.

    It may go a little below the minimum and above the maximum.
    """
    return _resize(np.asarray(score_map, np.float64), size, cv2.INTER_CUBIC)


def bilinear(maps: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Bilinear resizing of the maps (k, h, w) of an image to (k, *size), half-pixel centres."""
    return np.stack([_resize(score_map, size, cv2.INTER_LINEAR) for score_map in maps])


def stretched(maps: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """As :func:`bilinear`, but maps are stretched to [0, 1] before: an edge may stay below 1.

    A constant map becomes zeros.
    """
    return bilinear([normalize_map(score_map) for score_map in maps], size)


def bicubic(maps: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """:func:`resize_bicubic` of the maps (k, h, w) of an image to (k, *size)."""
    return np.stack([resize_bicubic(score_map, size) for score_map in maps])


#: By the names that a :class:`BoxRule` uses.
RESIZINGS = dict(bilinear=bilinear, bicubic=bicubic, stretched=stretched)


def _resize(score_map, size, interpolation):
    height, width = size[:2]
    return cv2.resize(score_map, (width, height), interpolation=interpolation)
