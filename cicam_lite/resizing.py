"""Resizing and normalization of maps, with OpenCV."""
from collections.abc import Sequence

import cv2
import numpy as np


def normalize_map(score_map: np.ndarray) -> np.ndarray:
    """Shift and scale a map to [0, 1]; a constant map becomes zeros."""
    low, high = score_map.min(), score_map.max()
    if high > low:
        return (score_map - low) / (high - low)
    return np.zeros(score_map.shape, np.result_type(score_map, np.float32))


def resize_bicubic(score_map: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """OpenCV's bicubic resizing of a map (h, w) to size (H, W), float64.

    The result can overshoot: it may fall slightly outside the range of the map.
    """
    return _resize(np.asarray(score_map, np.float64), size, cv2.INTER_CUBIC)


def bilinear(maps: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Bilinear resizing of the maps (k, h, w) of an image to (k, *size), half-pixel centres."""
    return np.stack([_resize(score_map, size, cv2.INTER_LINEAR) for score_map in maps])


def stretched(maps: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Like :func:`bilinear`, after normalizing each map to [0, 1].

    The maximum of the result may be below 1. A constant map becomes zeros.
    """
    return bilinear(np.stack([normalize_map(score_map) for score_map in maps]), size)


def nearest(maps: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Each value of the maps (k, h, w) of an image repeated, to (k, *size)."""
    return np.stack([_resize(score_map, size, cv2.INTER_NEAREST) for score_map in maps])


def bicubic(maps: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """:func:`resize_bicubic` of the maps (k, h, w) of an image to (k, *size)."""
    return np.stack([resize_bicubic(score_map, size) for score_map in maps])


#: By the name that a :class:`BoxRule` refers to.
RESIZINGS = dict(bilinear=bilinear, bicubic=bicubic, nearest=nearest, stretched=stretched)


def _resize(score_map, size, interpolation):
    height, width = size[:2]
    return cv2.resize(score_map, (width, height), interpolation=interpolation)
