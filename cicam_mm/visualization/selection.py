"""Selecting images to look at."""
import numpy as np


def random_images(num_images: int, count: int, seed: int = 0) -> list[int]:
    """Random distinct indices in ascending order; all indices if there are fewer."""
    rng = np.random.default_rng(seed)
    return sorted(rng.choice(num_images, min(count, num_images), replace=False).tolist())


def most_improved(ious: np.ndarray, count: int) -> list[int]:
    """Images on which the last method improves most over the best of the others.

    Args:
        ious (np.ndarray): IoU of the predicted boxes, shape (methods, images), at least two
            methods.
        count (int): Maximum number of images; images without improvement are left out.

    Returns:
        list[int]: Indices of the images, largest improvement first.
    """
    gain = ious[-1] - ious[:-1].max(axis=0)
    order = np.argsort(-gain, kind='stable')[:count]
    return order[gain[order] > 0].tolist()


def worst_images(ious: np.ndarray, count: int) -> list[int]:
    """Indices of the lowest IoUs, the lowest first, from IoUs of shape (images, )."""
    return np.argsort(ious, kind='stable')[:count].tolist()
