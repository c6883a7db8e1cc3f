"""Localization results for every theta and map rule, from one pass over the images."""
from collections.abc import Sequence

import numpy as np
from mmpretrain.registry import METRICS

from cicam_mm.localization.map_rules import rule_name
from cicam_mm.localization.overlap import box_iou
from cicam_mm.utils.samples import read_field

from .pooled_metric import PooledMetric
from .truths import truths_of
from .wsol_metric import IOU_THR

#: The metrics computed at every theta, named as in :class:`WSOLMetric`.
SWEPT_METRICS = ('top1_loc', 'top5_loc', 'gt_known_loc')


@METRICS.register_module()
class ThetaSweep(PooledMetric):
    """Top-1, Top-5 and GT-known Loc against theta for every map rule: the paper's Figure 4.

    The metrics are those of :class:`WSOLMetric` at IoU 0.5, with one theta for the data set. Data
    samples need the ``swept_boxes`` of a :class:`SweepingLocalizer`, ``top_labels``, ``gt_label``
    and ``gt_bboxes`` (k, 4). The R map rules and T thetas are those of the localizer. The curves
    hold, for each metric, a list of R lists of T percentages; the result is the best point of the
    metric ``by``.
    """

    default_prefix = 'theta_sweep'

    def __init__(self, map_rules: Sequence[str | dict], thetas: Sequence[float],
                 by: str = 'gt_known_loc', **kwargs):
        super().__init__(**kwargs)
        self.map_rules = [*map(rule_name, map_rules)]
        self.thetas = list(thetas)
        self.by = by

    def count(self, sample: dict) -> np.ndarray | None:
        """Whether the image is correct by each of the metrics, (3, R, T)."""
        boxes, truths = read_field(sample, 'swept_boxes'), truths_of(sample)
        if not len(truths):
            return None
        ious = box_iou(boxes.reshape(-1, 4), truths).max(axis=1)
        hit = (ious >= IOU_THR).reshape(boxes.shape[:2])
        among = read_field(sample, 'top_labels') == read_field(sample, 'gt_label')
        return np.stack([hit & among[:1].any(), hit & among[:5].any(), hit]).astype(int)

    def summarize(self, total: np.ndarray, num_images: int) -> tuple[dict, dict]:
        percent = total / num_images * 100
        curves = dict(map_rules=self.map_rules, thetas=self.thetas,
                      **dict(zip(SWEPT_METRICS, percent.tolist(), strict=True)))
        judged = percent[SWEPT_METRICS.index(self.by)]
        rule, theta = np.unravel_index(judged.argmax(), judged.shape)
        best = dict(zip(SWEPT_METRICS, percent[:, rule, theta].tolist(), strict=True))
        return dict(best, theta=self.thetas[theta]), curves
