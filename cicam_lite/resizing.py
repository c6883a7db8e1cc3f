"""Resizing and normalization of maps, with OpenCV."""
from collections.abc import Sequence

import cv2
import numpy as np

_FLAGS = dict(bilinear=cv2.INTER_LINEAR, bicubic=cv2.INTER_CUBIC,
              nearest=cv2.INTER_NEAREST, stretched=cv2.INTER_LINEAR)


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
    return resize(np.asarray(score_map)[None], size, 'bicubic')[0]


def resize(maps: np.ndarray, size: Sequence[int], resizing: str = 'bilinear') -> np.ndarray:
    """Resize the maps (k, h, w) of an image to (k, *size), with half-pixel centres.

    ``resizing`` is that of a :class:`BoxRule`: 'bicubic' gives float64; 'stretched' normalizes
    each map to [0, 1] first, so the maximum of the result may be below 1.
    """
    if resizing == 'stretched':
        maps = np.stack([normalize_map(score_map) for score_map in maps])
    elif resizing == 'bicubic':
        maps = np.asarray(maps, np.float64)
    height, width = size[:2]
    return np.stack([cv2.resize(score_map, (width, height), interpolation=_FLAGS[resizing])
                     for score_map in maps])
