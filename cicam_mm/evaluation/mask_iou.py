"""Overlap of the thresholded score map with the mask of the objects."""
import math
from collections.abc import Sequence

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS

from cicam_lite import get_box_rule, resize_maps
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.samples import naming_the_image, read_field

from .pooled_metric import check_finite
from .pxap import check_mask


def mask_iou(foreground: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union, in [0, 1]; 0 if the union is empty.

    The mask (1 object, 0 background, 255 ignored) is resized to the foreground's (h, w), bool, by
    nearest neighbour.
    """
    check_mask(mask)
    mask = cv2.resize(mask.astype(np.uint8), foreground.shape[::-1],
                      interpolation=cv2.INTER_NEAREST)
    union = (foreground & (mask != 255)) | (mask == 1)
    return float((foreground & (mask == 1)).sum() / max(union.sum(), 1))


@METRICS.register_module()
class MaskIoU(BaseMetric):
    """Mean :func:`mask_iou`, in percent, of what the localizer takes for foreground.

    That is the label's score map at the localizer's theta, thresholded as by its box rule. Unlike
    PxAP it depends on theta, and each image counts the same; masks that ignore every pixel do not
    count.

    Data samples need ``label_map`` (h, w), ``box_rule``, ``theta``, ``img_shape`` and ``gt_mask``,
    a mask of the whole image at any size: 1 object, 0 background, 255 ignored.
    """

    default_prefix = ''

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            with naming_the_image(sample):
                mask, label_map = (read_field(sample, name) for name in ('gt_mask', 'label_map'))
                rule = get_box_rule(sample['box_rule'])
                check_finite(label_map)
                resized, = resize_maps(label_map[None], rule, sample['img_shape'][:2])
                iou = mask_iou(rule.foreground(resized, sample['theta']), mask)
                # not None, which the exchange of ranks drops
                self.results.append(math.nan if (mask == 255).all() else iou)

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        ious = [iou for iou in results if not math.isnan(iou)]
        if not ious:
            raise UserError('Every mask ignores all of its pixels, so no map can be judged.')
        return dict(mask_iou=100 * math.fsum(ious) / len(ious))
