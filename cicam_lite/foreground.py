"""Foreground masks of score maps: (score map (H, W), theta) -> bool mask (H, W)."""
import numpy as np

from .cubehelix import CUBEHELIX_GREY
from .normalization import normalize_map


def above_theta_and_mean(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values above ``theta * max`` that also lie above the mean of the kept map.

    CI-CAM and NL-CCAM add the second threshold; it is why theta = 0 works.
    """
    kept = np.where(score_map > theta * score_map.max(), score_map, 0)
    return kept > kept.mean()


def above_theta(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values above theta, for maps whose values mean something by themselves."""
    return score_map > theta


def at_least_theta(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values of at least theta, for maps normalized to [0, 1]."""
    return score_map >= theta


def above_theta_of_uint8(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values above ``int(theta * max)`` of the map scaled to 0..255 and truncated to uint8."""
    grey = (255 * normalize_map(score_map)).astype(np.uint8)
    return grey > int(theta * grey.max())


def above_theta_of_percentile(score_map: np.ndarray, theta: float,
                              percentile: float = 90) -> np.ndarray:
    """Like :func:`above_theta_of_uint8`, with a percentile in place of the maximum."""
    grey = (255 * normalize_map(score_map)).astype(np.uint8)
    return grey > int(theta * np.percentile(grey, percentile))


def above_theta_of_cubehelix(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Like :func:`above_theta_of_uint8`, on the grey values of the cubehelix-coloured map."""
    levels = np.minimum(256 * normalize_map(score_map), 255).astype(np.uint8)
    grey = CUBEHELIX_GREY[levels]
    return grey > int(theta * grey.max())
