import cv2
import numpy as np
from mmpretrain.registry import METRICS

from cicam_mm.evaluation.functional.pixel_precision import (
    pixel_average_precision,
    pixel_histograms,
    score_edges,
)
from cicam_mm.evaluation.functional.score_map import judged_map
from cicam_mm.evaluation.sample_fields import read_field

from .pooled_metric import PooledMetric


@METRICS.register_module()
class PxAP(PooledMetric):
    """Pixel average precision ``pxap`` of the label's score map, as the reference computes it.

    Data samples need ``label_map`` (h, w), ``img_shape`` and ``gt_mask``, a mask of the whole
    image at any size: 1 object, 0 background, 255 ignored.

    Args:
        interval (float): Width of the score bins. Defaults to 0.001.
        **kwargs: Arguments of :class:`PooledMetric`.
    """

    def __init__(self, interval: float = 0.001, **kwargs):
        super().__init__(**kwargs)
        self.edges = score_edges(interval)

    def count(self, sample: dict) -> np.ndarray:
        """Object and background pixels in each bin, (2, B)."""
        height, width = sample['img_shape'][:2]
        score_map = judged_map(read_field(sample, 'label_map'), (height, width))
        mask = cv2.resize(read_field(sample, 'gt_mask').astype(np.uint8), (width, height),
                          interpolation=cv2.INTER_NEAREST)
        return pixel_histograms(score_map, mask, self.edges)

    def summarize(self, total: np.ndarray, num_images: int) -> tuple[dict, dict]:
        pxap, precision, recall = pixel_average_precision(total)
        some = ~np.isnan(precision)
        return dict(pxap=pxap), dict(
            thresholds=self.edges[:-1][some].tolist(), precision=precision[some].tolist(),
            recall=recall[some].tolist())
