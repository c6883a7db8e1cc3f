from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS
from numpy.typing import ArrayLike

from cicam_mm.localization.overlap import box_iou
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.samples import naming_the_image, read_field

from .truths import check_boxless, label_and_boxless_name, truths_of

#: The IoU at which a box is right, in all metrics that do not name another.
IOU_THR = 0.5


@METRICS.register_module()
class WSOLMetric(BaseMetric):
    """Top-1/Top-5 Cls, Top-1/Top-5 Loc and GT-known Loc, in percent.

    An image counts for Top-k Loc if its label is among the k best classes and the box of that
    class overlaps a ground-truth box by at least the IoU threshold; GT-known Loc evaluates the
    label's box, whatever class was predicted. Of a model that gives boxes without classes only
    GT-known Loc is reported. IoU counts inclusive pixels, like all released WSOL code. Boxes are
    compared as they are: predictions in the frame of the localizer, ground truth in that of the
    pipeline; by default both are the original image. Images of classes none of whose images has a
    box count for Top-k Cls only.

    Args:
        iou_thr (float | Sequence[float]): IoU thresholds. With several, the names of the
            localization results end in ``@threshold``.
        strict (bool): Whether a box whose IoU equals the threshold is a miss, as in the code of
            DANet and, for Top-k Loc, of TS-CAM.
        topk (Sequence[int]): The k to report, at most the number of boxes of the head.

    Attributes:
        per_class (dict): After an evaluation, on the main process: the same results for the
            images of each class, and their number, by the class's name or number.
    """
    default_prefix = 'wsol'

    def __init__(self, iou_thr: float | Sequence[float] = IOU_THR, strict: bool = False,
                 topk: Sequence[int] = (1, 5), **kwargs):
        super().__init__(**kwargs)
        self.iou_thrs = (iou_thr, ) if isinstance(iou_thr, (int, float)) else tuple(iou_thr)
        if not self.iou_thrs or not all(0 < thr <= 1 for thr in self.iou_thrs):
            raise UserError(f'iou_thr must be in (0, 1], got {iou_thr}.')
        if not topk or not all(isinstance(k, int) and k >= 1 for k in topk):
            raise UserError(f'topk must be integers of at least 1, got {topk}.')
        self.is_hit = np.greater if strict else np.greater_equal
        self.topk = tuple(topk)
        self.per_class = {}

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            with naming_the_image(sample):
                self._check_topk(sample)
                rank, iou, known_iou = judge_image(sample)
                self.results.append(
                    (rank, iou, known_iou, *label_and_boxless_name(sample, np.isnan(known_iou))))

    def _check_topk(self, sample):
        if 'pred_boxes' in sample and 'pred_score' in sample:
            boxes, classes = len(sample['pred_boxes']), len(sample['pred_score'])
            if boxes < min(max(self.topk), classes):
                raise UserError(f'topk={max(self.topk)} needs that many boxes, but the head gives '
                                f'{boxes}; set model.head.num_boxes, or lower topk.')

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        check_boxless(result[-2:] for result in results)
        judged = np.array([result[:3] for result in results], dtype=np.float64)
        labels = np.array([label for *_, label, _ in results])
        names = (self.dataset_meta or {}).get('classes') or ()
        self.per_class = {}
        for label in np.unique(labels):
            of_class = judged[labels == label]
            name = names[label] if label < len(names) else str(label)
            if name in self.per_class:  # ImageNet has two cranes
                name = f'{name} ({label})'
            self.per_class[name] = dict(images=len(of_class), **self._summarize(of_class))
        return self._summarize(judged)

    def _summarize(self, judged: np.ndarray) -> dict[str, float]:
        topk = () if np.isnan(judged[:, 0]).any() else self.topk
        metrics = {f'top{k}_cls': percent(judged[:, 0] < k) for k in topk}
        rank, iou, known_iou = judged[~np.isnan(judged[:, 2])].T
        for thr in self.iou_thrs if len(rank) else ():
            suffix = '' if len(self.iou_thrs) == 1 else f'@{thr:g}'
            for k in topk:
                metrics[f'top{k}_loc{suffix}'] = percent((rank < k) & self.is_hit(iou, thr))
            metrics[f'gt_known_loc{suffix}'] = percent(self.is_hit(known_iou, thr))
        return metrics


def judge_image(sample: dict) -> tuple[float, float, float]:
    """Evaluate the classification and localization of one image.

    Returns:
        tuple: Rank of the label among ``top_labels`` (infinite if it is not among them, NaN if
        there are none), best IoU of the box at that rank, best IoU of the label's own box; the
        IoUs are NaN without a ground-truth box.
    """
    truths, label = truths_of(sample), read_field(sample, 'gt_label')
    known_iou = _iou_or_nan(read_field(sample, 'label_box'), truths)
    if 'top_labels' not in sample and 'pred_box' in sample:  # a model that does not classify
        return np.nan, np.nan, known_iou
    ranks = np.flatnonzero(read_field(sample, 'top_labels') == label)
    if not len(ranks):
        return np.inf, 0., known_iou
    rank = ranks[0]
    return float(rank), _iou_or_nan(read_field(sample, 'pred_boxes')[rank], truths), known_iou


def percent(hits: np.ndarray) -> float:
    """Percentage of True."""
    return float(np.mean(hits) * 100)


def _iou_or_nan(box: np.ndarray, truths: ArrayLike) -> float:
    return box_iou(box, truths).max() if len(truths) else np.nan
