"""What of a score map is foreground: (score map (H, W), theta) -> bool mask (H, W)."""
from functools import cache

import cv2
import numpy as np

from .normalization import normalize_map


def above_theta_and_mean(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values above ``theta * max`` that also lie above the mean of the kept map.

    The second cut is CI-CAM's and NL-CCAM's; it is why theta = 0 works.
    """
    kept = np.where(score_map > theta * score_map.max(), score_map, 0)
    return kept > kept.mean()


def at_least_theta(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values of at least theta, for maps stretched to [0, 1]."""
    return score_map >= theta


def above_theta_of_uint8(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values of the map, stretched to 0..255 and truncated, above ``int(theta * max)``."""
    grey = (255 * normalize_map(score_map)).astype(np.uint8)
    return grey > int(theta * grey.max())


def above_theta_of_percentile(score_map: np.ndarray, theta: float,
                              percentile: float = 90) -> np.ndarray:
    """As :func:`above_theta_of_uint8`, but a share of a percentile, not of the maximum."""
    grey = (255 * normalize_map(score_map)).astype(np.uint8)
    return grey > int(theta * np.percentile(grey, percentile))


def above_theta_of_cubehelix(score_map: np.ndarray, theta: float) -> np.ndarray:
    """As :func:`above_theta_of_uint8`, on the grey values of the cubehelix-coloured map."""
    levels = np.minimum(256 * normalize_map(score_map), 255).astype(np.uint8)
    grey = _cubehelix_grey()[levels]
    return grey > int(theta * grey.max())


@cache
def _cubehelix_grey() -> np.ndarray:
    import matplotlib  # for this rule alone

    colors = matplotlib.colormaps['cubehelix'](np.arange(256))[None, :, :3]
    return cv2.cvtColor((255 * colors).astype(np.uint8), cv2.COLOR_RGB2GRAY)[0]
