"""From the localization map of a model to the score map that is judged."""
import cv2
import numpy as np


def resize_map(score_map, size):
    """Bicubic resizing, which may go a little below the minimum and above the maximum.

    Args:
        score_map (np.ndarray): Shape (h, w).
        size (tuple): (H, W) wanted.

    Returns:
        np.ndarray: float64 of shape (H, W).
    """
    height, width = size[:2]
    return cv2.resize(np.asarray(score_map, np.float64), (width, height),
                      interpolation=cv2.INTER_CUBIC)


def normalize_map(score_map):
    """Shift and scale a map to [0, 1]; a constant map becomes zeros.

    Raises:
        ValueError: If a value is not finite.
    """
    check_finite(score_map)
    score_map = score_map - np.min(score_map)
    highest = score_map.max()
    return score_map / highest if highest > 0 else score_map


def check_finite(score_map):
    """Raise a ValueError if a value is not finite."""
    if not np.isfinite(score_map).all():
        raise ValueError(f'{np.sum(~np.isfinite(score_map))} of {np.size(score_map)} values of '
                         'the score map are not finite; check the training for divergence.')
