"""PxAP, pixel average precision.

From "Evaluating Weakly Supervised Object Localization Methods Right" (CVPR 2020): the area
under the precision-recall curve of all pixels of a data set, pooled.
"""
import cv2
import numpy as np
from mmpretrain.registry import METRICS

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.samples import read_field

from .max_box_acc import score_thresholds
from .pooled_metric import PooledMetric, map_of


def score_edges(interval: float = 0.001) -> np.ndarray:
    """Edges of the score bins: 0, interval, ... below 1, then 1, 2 and 3.

    So a score of exactly 1 has a bin of its own.
    """
    return np.append(score_thresholds(interval), [1, 2, 3])


def pixel_histograms(score_map: np.ndarray, mask: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Numbers of object and background pixels with a score in each of B bins, int64, (2, B).

    The map (h, w) has values in [0, 1]; the mask (h, w) holds 1 object, 0 background, 255 ignored.
    """
    if score_map.shape != mask.shape:
        raise UserError(f'The score map has shape {score_map.shape}, but its mask {mask.shape}.')
    if not (score_map.min() >= 0 and score_map.max() <= 1):
        raise UserError(f'Scores must be in [0, 1], not between {score_map.min()} and '
                        f'{score_map.max()}.')
    check_mask(mask)
    return np.stack([np.histogram(score_map[mask == label], edges)[0] for label in (1, 0)])


def check_mask(mask: np.ndarray) -> None:
    """Refuse a mask with other values than 1 (object), 0 (background) and 255 (ignored)."""
    if not np.isin(mask, (0, 1, 255)).all():
        raise UserError('A mask may hold 1 (object), 0 (background) and 255 (ignored), but this '
                        f'one has {np.setdiff1d(mask, (0, 1, 255)).tolist()}.')


def pixel_average_precision(histograms: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Area under the precision-recall curve, from histograms pooled over a data set.

    Every bin gives a point of the curve: pixels at or above its lower edge are positive. A step
    in recall is weighted by the precision at its lower threshold; points without positive pixels,
    where the precision is NaN, are left out.

    Returns:
        tuple: PxAP in percent; precision and recall at each lower edge, (B, ).
    """
    found, false = histograms[:, ::-1].cumsum(axis=1)
    if not found[-1]:
        raise UserError('PxAP needs at least one object pixel, but no mask has any.')
    some = found + false > 0
    precision = np.divide(found, found + false, out=np.full(len(found), np.nan), where=some)
    recall = found / found[-1]
    steps = precision * np.diff(recall, prepend=0)
    return float(steps[some].sum() * 100), precision[::-1], recall[::-1]


@METRICS.register_module()
class PxAP(PooledMetric):
    """Pixel average precision ``pxap`` of the label's score map, as the reference computes it.

    Data samples need a score map (see :func:`map_of`), ``img_shape`` and ``gt_mask``, a mask of
    the whole image at any size: 1 object, 0 background, 255 ignored. Score bins are ``interval``
    wide.
    """

    def __init__(self, interval: float = 0.001, **kwargs):
        super().__init__(**kwargs)
        self.edges = score_edges(interval)

    def count(self, sample: dict) -> np.ndarray:
        """Object and background pixels in each bin, (2, B)."""
        score_map = map_of(sample, sample['img_shape'][:2])
        mask = cv2.resize(read_field(sample, 'gt_mask').astype(np.uint8), score_map.shape[::-1],
                          interpolation=cv2.INTER_NEAREST)
        return pixel_histograms(score_map, mask, self.edges)

    def summarize(self, total: np.ndarray, num_images: int) -> tuple[dict, dict]:
        pxap, precision, recall = pixel_average_precision(total)
        some = ~np.isnan(precision)
        return dict(pxap=pxap), dict(
            thresholds=self.edges[:-1][some].tolist(), precision=precision[some].tolist(),
            recall=recall[some].tolist())
