"""Kinds of localization errors.

The definitions are those shared by the code of SPA (CVPR 2021), TS-CAM (ICCV 2021) and GenPromp
(ICCV 2023).
"""
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS
from numpy.typing import ArrayLike

from cicam_lite.resizing import resize_bicubic
from cicam_mm.localization.overlap import box_iou, intersection_over_box, intersection_over_truth
from cicam_mm.utils.samples import naming_the_image, read_field

from .pooled_metric import check_finite
from .pxap import check_mask
from .truths import check_boxless, label_and_boxless_name, truths_of

ERROR_KINDS = ('classification_error', 'correct', 'multi_instance', 'part', 'more', 'others')


def error_kind(class_is_right: bool, box: ArrayLike, truths: ArrayLike) -> str:
    """The first of ``ERROR_KINDS`` whose condition holds.

    ======================== =================================================================
    kind                     condition
    ======================== =================================================================
    ``classification_error`` the predicted class is wrong, whatever the box
    ``correct``              IoU > 0.5 with a ground-truth box
    ``multi_instance``       the box covers more than 0.3 of at least two ground-truth boxes
    ``part``                 more than 0.5 of the box is inside the best ground-truth box
    ``more``                 the box covers at least 0.7 of the best ground-truth box, so it
                             includes too much context
    ``others``               none of the above
    ======================== =================================================================

    The best ground-truth box is the one with the highest IoU; ties go to the first. ``box`` is
    x0, y0, x1, y1, ``truths`` (m, 4) are at least one box in the same frame.
    """
    if not class_is_right:
        return 'classification_error'
    ious = box_iou(box, truths)[0]
    best = np.argmax(ious)
    covered = intersection_over_truth(box, truths)[0]
    if ious[best] > 0.5:
        return 'correct'
    if np.sum(covered > 0.3) > 1:
        return 'multi_instance'
    if intersection_over_box(box, truths)[0, best] > 0.5:
        return 'part'
    return 'more' if covered[best] >= 0.7 else 'others'


def context_share(score_map: np.ndarray, mask: np.ndarray) -> float | None:
    """Share, in [0, 1], of a map's positive mass that is on the context rather than the object.

    Map and mask are (h, w); the mask holds 1 object, 0 context, 255 ignored. A map without
    positive mass is treated as a uniform one; a mask that ignores every pixel gives None.
    """
    check_finite(score_map)
    check_mask(mask)
    counts = mask != 255
    if not counts.any():
        return None
    mass = np.maximum(score_map, 0).astype(np.float64)  # sums of float16 overflow
    if not mass[counts].any():
        mass = np.ones(mask.shape)
    return float(mass[mask == 0].sum() / mass[counts].sum())


@METRICS.register_module()
class LocalizationErrors(BaseMetric):
    """Kinds of errors of the Top-1 boxes, in percent of all images with boxes.

    The kinds are those of :func:`error_kind` and add up to 100; ``more`` means too much context.
    ``correct`` requires IoU > 0.5, whereas Top-1 Loc requires >= 0.5. If there are masks,
    ``context_mass`` is the mean share of the score map's positive mass that is on the context;
    masks that ignore every pixel do not count.

    Data samples need ``pred_label``, ``gt_label``, ``pred_box`` (4, ) and ``gt_bboxes`` (k, 4) in
    the same frame, and for ``context_mass`` also ``score_map`` (h, w) and ``gt_mask``.
    """

    default_prefix = 'localization_errors'

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            with naming_the_image(sample):
                kind = _kind_of(sample)
                self.results.append(
                    (kind, _share_of(sample), *label_and_boxless_name(sample, kind is None)))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        check_boxless(result[-2:] for result in results)
        kinds = Counter(kind for kind, *_ in results if kind)
        metrics = {kind: 100. * kinds[kind] / kinds.total() for kind in ERROR_KINDS}
        shares = [share for _, share, *_ in results if share is not None]
        if shares:
            metrics['context_mass'] = 100 * math.fsum(shares) / len(shares)
        return metrics


def _kind_of(sample):
    is_right = (read_field(sample, 'pred_label') == read_field(sample, 'gt_label')).all()
    box, truths = read_field(sample, 'pred_box'), truths_of(sample)
    return error_kind(bool(is_right), box, truths) if len(truths) else None


def _share_of(sample):
    if sample.get('gt_mask') is None:
        return None
    mask = read_field(sample, 'gt_mask')
    return context_share(resize_bicubic(read_field(sample, 'score_map'), mask.shape), mask)
