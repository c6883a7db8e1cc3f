import numpy as np


def normalize_map(score_map: np.ndarray) -> np.ndarray:
    """Shift and scale a map to [0, 1]; a constant map becomes zeros."""
    low, high = score_map.min(), score_map.max()
    return (score_map - low) / (high - low) if high > low else np.zeros(score_map.shape)
