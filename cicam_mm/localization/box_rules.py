"""From a score map to a box, by the rules the methods were published with."""
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np


def above_theta_and_mean(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values above ``theta * max`` that also lie above the mean of the kept map.

    The second cut is CI-CAM's and NL-CCAM's; it is why theta = 0 works.
    """
    kept = np.where(score_map > theta * score_map.max(), score_map, 0)
    return kept > kept.mean()


def above_theta_of_uint8(score_map: np.ndarray, theta: float) -> np.ndarray:
    """Values of the map, stretched to 0..255 and truncated, above ``int(theta * max)``."""
    low, high = score_map.min(), score_map.max()
    if not high > low:
        return np.zeros(score_map.shape, bool)
    grey = ((score_map - low) / (high - low) * 255).astype(np.uint8)
    return grey > int(theta * grey.max())


def largest_box(foreground: np.ndarray) -> np.ndarray:
    """Bounding box, ends exclusive, of the 4-connected region whose *box* is largest.

    Of equal boxes the first in raster order wins.
    """
    _, _, stats, _ = cv2.connectedComponentsWithStats(foreground.astype(np.uint8), connectivity=4)
    x, y, w, h = stats[1:, :4].T
    best = np.argmax(w * h)
    return np.array([x[best], y[best], x[best] + w[best], y[best] + h[best]])


def largest_contour(foreground: np.ndarray) -> np.ndarray:
    """Bounding box of the outer contour with the largest polygon area, capped at size - 1."""
    contours, _ = cv2.findContours(
        foreground.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    x, y, w, h = cv2.boundingRect(max(contours, key=cv2.contourArea))
    height, width = foreground.shape
    return np.array([x, y, min(x + w, width - 1), min(y + h, height - 1)])


@dataclass(frozen=True)
class BoxRule:
    """How a map becomes a box.

    Attributes:
        foreground: (score map, theta) -> bool mask of the same shape.
        region: Non-empty mask -> box x0, y0, x1, y1 in pixels of the map.
        rounding: What turns coordinates in the original image into integers.
    """
    foreground: Callable
    region: Callable
    rounding: Callable


BOX_RULES = {
    'ci_cam': BoxRule(above_theta_and_mean, largest_box, np.trunc),
    'nl_ccam': BoxRule(above_theta_and_mean, largest_box, np.rint),
    'wsoleval': BoxRule(above_theta_of_uint8, largest_contour, np.trunc),
}


def get_box_rule(name: str) -> BoxRule:
    """The rule of that name; an unknown name raises a ValueError that lists the known ones."""
    if name not in BOX_RULES:
        raise ValueError(f'unknown box rule {name!r}; known are {", ".join(BOX_RULES)}.')
    return BOX_RULES[name]


def find_box(score_map: np.ndarray, rule: BoxRule, theta: float) -> np.ndarray:
    """Box of one score map.

    Args:
        score_map (np.ndarray): Shape (H, W), minimum 0.
        rule (BoxRule): How to cut and which region to take.
        theta (float): Threshold as a share of the map's maximum.

    Returns:
        np.ndarray: x0, y0, x1, y1 in pixels of the map, ends exclusive, int64. The
        whole map where nothing is foreground, as for a constant or a non-finite map.
    """
    height, width = score_map.shape
    if np.isfinite(score_map).all():
        foreground = rule.foreground(score_map, theta)
        if foreground.any():
            return rule.region(foreground).astype(np.int64)
    return np.array([0, 0, width, height])


def to_original(boxes: np.ndarray, rule: BoxRule, img_shape, ori_shape) -> np.ndarray:
    """Scale boxes from the network's input to the original image.

    Args:
        boxes (np.ndarray): Shape (..., 4), pixels of the network's input.
        rule (BoxRule): Says how coordinates are rounded.
        img_shape (tuple): (H, W) of the network's input, a resized whole image.
        ori_shape (tuple): (H, W) of the original image.

    Returns:
        np.ndarray: Boxes in pixels of the original image, clipped to it, int64.
    """
    size, ori_size = np.array(img_shape[1::-1] * 2), np.array(ori_shape[1::-1] * 2)
    return rule.rounding(np.clip(boxes * ori_size / size, 0, ori_size)).astype(np.int64)
