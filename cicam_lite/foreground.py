"""Foreground masks of score maps: (score map (H, W), theta) -> bool mask (H, W)."""
import cv2
import numpy as np

from .resizing import normalize_map


def _cubehelix_grey():
    """Green's colour scheme (2011), start 0.5, rotations -1.5, hue 1; grey as OpenCV makes it."""
    levels = np.linspace(0, 1, 256)[:, None]
    angle = 2 * np.pi * (0.5 / 3 - 1.5 * levels)
    turned = np.cos(angle) * [-0.14861, -0.29227, 1.97294]
    turned += np.sin(angle) * [1.78277, -0.90649, 0]
    colors = levels + levels * (1 - levels) / 2 * turned
    colors = (255 * colors.clip(0, 1)).astype(np.uint8)
    return cv2.cvtColor(colors[None], cv2.COLOR_RGB2GRAY)[0]


#: Grey value of each of the 256 colours of matplotlib's ``cubehelix``, uint8.
CUBEHELIX_GREY = _cubehelix_grey()


def above_theta_and_mean(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values above ``theta * max`` that also lie above the mean of the kept map.

    CI-CAM and NL-CCAM add the second threshold; it is why theta = 0 works.
    """
    highest = score_map.max()
    kept = np.where(score_map > theta * highest, score_map, 0)
    # a power of two changes no comparison, and the sum stays below the largest number
    kept = kept * 2.**-max(int(np.frexp(highest)[1]), 0)
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
