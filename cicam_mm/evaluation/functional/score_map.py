"""The score map to evaluate, from the localization map of a model."""
from collections.abc import Sequence

import numpy as np

from cicam_lite.normalization import normalize_map
from cicam_lite.resizing import resize_bicubic
from cicam_mm.errors import UserError


def judged_map(label_map: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """A map resized to the size of the evaluation, then normalized to [0, 1].

    Args:
        label_map (np.ndarray): Shape (h, w).
        size (Sequence[int]): H and W.

    Returns:
        np.ndarray: Shape (H, W); zeros if the map is constant.

    Raises:
        ValueError: If a value is not finite.
    """
    check_finite(label_map)
    return normalize_map(resize_bicubic(label_map, size))


def check_finite(score_map: np.ndarray) -> None:
    """Raise a ValueError if a value is not finite."""
    if not np.isfinite(score_map).all():
        raise UserError(f'{np.sum(~np.isfinite(score_map))} of {np.size(score_map)} values of '
                        'the score map are not finite; check the training for divergence.')
