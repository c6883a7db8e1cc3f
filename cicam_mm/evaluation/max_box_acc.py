"""MaxBoxAcc and MaxBoxAccV2.

From "Evaluating Weakly Supervised Object Localization Methods Right" (CVPR 2020) and its
extension: at a threshold, an image is correct if a box of its score map reaches the required IoU
with a ground-truth box; the result is that of the best threshold for the whole data set.
"""
from collections.abc import Sequence
from typing import Literal

import numpy as np
from mmpretrain.registry import METRICS
from numpy.typing import ArrayLike

from cicam_mm.localization.overlap import as_boxes, box_iou
from cicam_mm.utils.errors import UserError, check_choices

from .pooled_metric import PooledMetric, map_of
from .threshold_boxes import ThresholdBoxes
from .truths import truths_of
from .wsol_metric import IOU_THR


def score_thresholds(interval: float = 0.001) -> np.ndarray:
    """Thresholds 0, interval, 2 * interval, ... below 1."""
    if not 0 < interval < 1:
        raise UserError(f'The interval between thresholds must be in (0, 1), not {interval}.')
    return np.arange(0, 1, interval)


def scale_boxes(boxes: ArrayLike, shape: Sequence[int], new_shape: Sequence[int]) -> np.ndarray:
    """Scale boxes (k, 4) from an image of one shape (H, W) to another, truncating to pixels."""
    (height, width), (new_height, new_width) = shape[:2], new_shape[:2]
    scaled = as_boxes(boxes) * [new_width, new_height, new_width, new_height]
    return np.trunc(scaled / [width, height, width, height])


def best_ious(score_map: np.ndarray, truths: ArrayLike, thresholds: np.ndarray) -> np.ndarray:
    """Best IoU of a map's boxes with the ground truth, at each of T thresholds.

    The map (h, w) has values in [0, 1]; ``truths`` (m, 4), at least one, are in its pixels. The
    result is (2, T): for the largest contour (MaxBoxAcc) and for all contours (MaxBoxAccV2).
    """
    found = ThresholdBoxes(score_map, thresholds)
    rows = []
    for boxes, owners in (found.largest_contour(), found.all_contours()):
        first = np.flatnonzero(np.diff(owners, prepend=-1))
        rows.append(np.maximum.reduceat(box_iou(boxes, truths).max(axis=1), first))
    return np.stack(rows)[:, found.cut_of]


def max_box_accuracy(num_correct: np.ndarray, num_images: int,
                     thresholds: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Accuracy in percent at the best (lowest) threshold, that threshold, and the curve (T, )."""
    curve = num_correct * 100. / num_images
    best = np.argmax(curve)
    return float(curve[best]), float(thresholds[best]), curve


V2_IOUS = (0.3, 0.5, 0.7)

#: The field with the size of the image in each frame.
SHAPES = dict(original='ori_shape', input='img_shape')


@METRICS.register_module()
class MaxBoxAcc(PooledMetric):
    """MaxBoxAcc (V1) and MaxBoxAccV2 of the label's score map, as the reference computes them.

    ``max_box_acc`` uses the box of the largest contour and IoU 0.5; ``max_box_acc_v2`` uses the
    best of all contours' boxes and is the mean over IoU 0.3, 0.5 and 0.7. Each is reported with
    the threshold that is best for the whole data set. Classification does not matter.

    Data samples need a score map (see :func:`map_of`), ``gt_bboxes`` (m, 4) and ``img_shape``, and
    for the original frame also ``ori_shape``.

    Args:
        interval (float): Step between thresholds.
        frame (str, optional): The frame of ``gt_bboxes``: 'original' for pixels of the original
            image, which was resized as a whole, or 'input' for pixels of the network's input.
            Defaults to None, the ``box_frame`` of the sample, or 'original' without one.
    """

    def __init__(self, interval: float = 0.001,
                 frame: Literal['original', 'input', None] = None, **kwargs):
        super().__init__(**kwargs)
        check_choices(MaxBoxAcc, frame=frame)
        self.thresholds = score_thresholds(interval)
        self.frame = frame

    def count(self, sample: dict) -> np.ndarray | None:
        """Whether the image is correct, (4, T): V1, then V2 at each IoU."""
        size = sample['img_shape'][:2]
        truths = scale_boxes(truths_of(sample), sample[SHAPES[self._frame_of(sample)]], size)
        if not len(truths):
            return None
        largest, best = best_ious(map_of(sample, size), truths, self.thresholds)
        return np.stack([largest >= IOU_THR, *(best >= iou for iou in V2_IOUS)]).astype(int)

    def _frame_of(self, sample: dict) -> str:
        frame = sample.get('box_frame')
        if self.frame and frame and self.frame != frame:
            raise UserError(f'boxes are in pixels of the {frame} image, but MaxBoxAcc has '
                            f'frame={self.frame!r}; omit frame.')
        return self.frame or frame or 'original'

    def summarize(self, total: np.ndarray, num_images: int) -> tuple[dict, dict]:
        names = ['max_box_acc', *(f'max_box_acc_v2_iou{iou * 100:.0f}' for iou in V2_IOUS)]
        metrics, curves = {}, dict(thresholds=self.thresholds.tolist())
        for name, num_correct in zip(names, total, strict=True):
            metrics[name], metrics[f'{name}_threshold'], curve = max_box_accuracy(
                num_correct, num_images, self.thresholds)
            curves[name] = curve.tolist()
        metrics['max_box_acc_v2'] = float(np.mean([metrics[name] for name in names[1:]]))
        return metrics, curves
