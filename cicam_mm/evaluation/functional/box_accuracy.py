"""MaxBoxAcc and MaxBoxAccV2 as pure functions.

From "Evaluating Weakly Supervised Object Localization Methods Right" (CVPR 2020) and its
extension: at a threshold, an image is correct if a box of its score map reaches the required IoU
with a ground-truth box; the result is that of the best threshold for the whole data set.
"""
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from cicam_mm.errors import UserError

from .overlap import as_boxes, box_iou
from .threshold_boxes import ThresholdBoxes


def score_thresholds(interval: float = 0.001) -> np.ndarray:
    """Thresholds 0, interval, 2 * interval, ... below 1; ``interval`` defaults to 0.001."""
    if not 0 < interval < 1:
        raise UserError(f'The interval between thresholds must be in (0, 1), not {interval}.')
    return np.arange(0, 1, interval)


def scale_boxes(boxes: ArrayLike, shape: Sequence[int], new_shape: Sequence[int]) -> np.ndarray:
    """Scale boxes from one image size to another, truncating to whole pixels.

    Args:
        boxes (array): x0, y0, x1, y1 of shape (k, 4), in pixels of the first image.
        shape (tuple): (H, W) of the first image.
        new_shape (tuple): (H, W) of the second.

    Returns:
        np.ndarray: Whole numbers, float64 of shape (k, 4), in pixels of the second image.
    """
    (height, width), (new_height, new_width) = shape[:2], new_shape[:2]
    scaled = as_boxes(boxes) * [new_width, new_height, new_width, new_height]
    return np.trunc(scaled / [width, height, width, height])


def best_ious(score_map: np.ndarray, truths: ArrayLike, thresholds: np.ndarray) -> np.ndarray:
    """Best IoU of a map's boxes with the ground truth, at every threshold.

    Args:
        score_map (np.ndarray): Shape (h, w), values in [0, 1].
        truths (array): Ground-truth boxes in pixels of the map, shape (m, 4).
        thresholds (np.ndarray): Shape (T, ).

    Returns:
        np.ndarray: Shape (2, T): for the largest contour (MaxBoxAcc) and for all contours
        (MaxBoxAccV2).

    Raises:
        ValueError: If there is no ground truth, or the map has values outside [0, 1].
    """
    truths = as_boxes(truths)
    if not len(truths):
        raise UserError('There is no ground-truth box to evaluate the score map with.')
    found = ThresholdBoxes(score_map, thresholds)
    rows = []
    for boxes, owners in (found.largest_contour(), found.all_contours()):
        first = np.flatnonzero(np.diff(owners, prepend=-1))
        rows.append(np.maximum.reduceat(box_iou(boxes, truths).max(axis=1), first))
    return np.stack(rows)[:, found.cut_of]


def max_box_accuracy(num_correct: np.ndarray, num_images: int,
                     thresholds: np.ndarray) -> tuple[float, float, np.ndarray]:
    """The best accuracy over all thresholds, for one IoU.

    Args:
        num_correct (np.ndarray): Number of correct images at each threshold, shape (T, ).
        num_images (int): Size of the data set.
        thresholds (np.ndarray): Shape (T, ).

    Returns:
        tuple: Accuracy in percent; the (lowest) threshold that gives it; the whole curve (T, ).
    """
    curve = num_correct * 100. / num_images
    best = np.argmax(curve)
    return float(curve[best]), float(thresholds[best]), curve
