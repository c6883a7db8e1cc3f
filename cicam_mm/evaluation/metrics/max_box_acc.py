import numpy as np
from mmpretrain.registry import METRICS

from cicam_mm.errors import UserError
from cicam_mm.evaluation.functional.box_accuracy import (
    best_ious,
    max_box_accuracy,
    scale_boxes,
    score_thresholds,
)
from cicam_mm.evaluation.functional.score_map import judged_map
from cicam_mm.evaluation.sample_fields import read_field

from .pooled_metric import PooledMetric

V2_IOUS = (0.3, 0.5, 0.7)
#: The field with the size of the image in each frame.
SHAPES = dict(original='ori_shape', input='img_shape')


@METRICS.register_module()
class MaxBoxAcc(PooledMetric):
    """MaxBoxAcc (V1) and MaxBoxAccV2 of the label's score map, as the reference computes them.

    ``max_box_acc`` uses the box of the largest contour and IoU 0.5; ``max_box_acc_v2`` uses the
    best of all contours' boxes and is the mean over IoU 0.3, 0.5 and 0.7. Each is reported with
    the threshold that is best for the whole data set. Classification does not matter.

    Data samples need ``label_map`` (h, w), ``gt_bboxes`` (k, 4) and ``img_shape``, and for the
    original frame also ``ori_shape``; ``box_frame``, which localizers set, tells the frame.

    Args:
        interval (float): Step between thresholds. Defaults to 0.001.
        frame (str, optional): The frame of ``gt_bboxes``: 'original' for pixels of the original
            image, which was resized as a whole, or 'input' for pixels of the network's input.
            Defaults to None, the ``box_frame`` of the sample, or 'original' without one.
        **kwargs: Arguments of :class:`PooledMetric`.
    """

    def __init__(self, interval: float = 0.001, frame: str | None = None, **kwargs):
        super().__init__(**kwargs)
        if frame not in (None, *SHAPES):
            raise UserError(f"unknown frame {frame!r}; known are 'original', 'input'.")
        self.thresholds = score_thresholds(interval)
        self.frame = frame

    def count(self, sample: dict) -> np.ndarray:
        """Whether the image is correct, (4, T): V1, then V2 at each IoU."""
        size = sample['img_shape'][:2]
        shape = sample[SHAPES[self._frame_of(sample)]]
        truths = scale_boxes(read_field(sample, 'gt_bboxes'), shape, size)
        score_map = judged_map(read_field(sample, 'label_map'), size)
        largest, best = best_ious(score_map, truths, self.thresholds)
        return np.stack([largest >= 0.5, *(best >= iou for iou in V2_IOUS)]).astype(int)

    def _frame_of(self, sample: dict) -> str:
        told = sample.get('box_frame')
        if self.frame and told and self.frame != told:
            raise UserError(f'boxes are in pixels of the {told} image, but MaxBoxAcc has '
                            f'frame={self.frame!r}; omit frame.')
        return self.frame or told or 'original'

    def summarize(self, total: np.ndarray, num_images: int) -> tuple[dict, dict]:
        names = ['max_box_acc', *(f'max_box_acc_v2_iou{iou * 100:.0f}' for iou in V2_IOUS)]
        metrics, curves = {}, dict(thresholds=self.thresholds.tolist())
        for name, num_correct in zip(names, total, strict=True):
            metrics[name], metrics[f'{name}_threshold'], curve = max_box_accuracy(
                num_correct, num_images, self.thresholds)
            curves[name] = curve.tolist()
        metrics['max_box_acc_v2'] = float(np.mean([metrics[name] for name in names[1:]]))
        return metrics, curves
