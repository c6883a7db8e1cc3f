"""From the localization map of a model to the score map that is judged."""
import numpy as np

from cicam_lite.foreground import stretch


def normalize_map(score_map):
    """Shift and scale a map to [0, 1]; a constant map becomes zeros.

    Raises:
        ValueError: If a value is not finite.
    """
    check_finite(score_map)
    return stretch(np.asarray(score_map))


def check_finite(score_map):
    """Raise a ValueError if a value is not finite."""
    if not np.isfinite(score_map).all():
        raise ValueError(f'{np.sum(~np.isfinite(score_map))} of {np.size(score_map)} values of '
                         'the score map are not finite; check the training for divergence.')
