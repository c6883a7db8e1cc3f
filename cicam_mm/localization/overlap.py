"""Overlap of boxes with inclusive ends.

All released WSOL code and the reference evaluation count the pixels at both ends of a box: a side
is ``x1 - x0 + 1`` long, so [3, 3, 3, 3] is one pixel. A box that ends at least a pixel before it
starts is empty: it overlaps nothing, and its ratios are 0.
"""
import numpy as np
from mmpretrain.structures import DataSample
from numpy.typing import ArrayLike

from cicam_mm.utils.errors import UserError


def box_iou(boxes: ArrayLike, truths: ArrayLike) -> np.ndarray:
    """Intersection over union (k, m) of boxes x0, y0, x1, y1, (k, 4), and truths (m, 4)."""
    boxes, truths = as_boxes(boxes), as_boxes(truths)
    shared = _shared_area(boxes, truths)
    return _ratio(shared, _area(boxes)[:, None] + _area(truths)[None] - shared)


def best_iou(sample: DataSample) -> float:
    """Highest IoU of the predicted box with a ground-truth box; 0 if there is none."""
    return float(box_iou(sample.pred_box, sample.get('gt_bboxes', ())).max(initial=0))


def intersection_over_truth(boxes: ArrayLike, truths: ArrayLike) -> np.ndarray:
    """Covered share of each ground-truth box (IoG); shapes as in :func:`box_iou`."""
    boxes, truths = as_boxes(boxes), as_boxes(truths)
    return _ratio(_shared_area(boxes, truths), _area(truths)[None])


def intersection_over_box(boxes: ArrayLike, truths: ArrayLike) -> np.ndarray:
    """Share of each predicted box inside a true one (IoB); shapes as in :func:`box_iou`."""
    boxes, truths = as_boxes(boxes), as_boxes(truths)
    return _ratio(_shared_area(boxes, truths), _area(boxes)[:, None])


def as_boxes(boxes: ArrayLike) -> np.ndarray:
    """Boxes as float64 of shape (k, 4); ``[]`` means no boxes, a single box becomes one row."""
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.size == 0:
        return np.zeros((0, 4))
    if boxes.shape[-1] != 4 or boxes.ndim > 2:
        raise UserError(f'Boxes must have shape (k, 4), x0 y0 x1 y1, but have {boxes.shape}.')
    if not np.isfinite(boxes).all():
        raise UserError(f'Boxes must be finite, but these are {boxes.tolist()}.')
    return boxes.reshape(-1, 4)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2] + 1, 0), axis=1)


def _shared_area(boxes: np.ndarray, truths: np.ndarray) -> np.ndarray:
    start = np.maximum(boxes[:, None, :2], truths[None, :, :2])
    end = np.minimum(boxes[:, None, 2:], truths[None, :, 2:])
    return np.prod(np.maximum(end - start + 1, 0), axis=2)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
