"""Comparison of the rows of a context pool with the objects of a test set."""
from collections.abc import Iterable

import cv2
import numpy as np
import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.localization import CombinationalLocalizer
from cicam_mm.models.pool_contexts import mean_row, other_row, own_row

from .functional.overlap import box_iou
from .functional.pool_statistics import correlations, own_and_other
from .sample_fields import naming_the_image, read_field

ROWS = dict(own=own_row, other=other_row, mean=mean_row)


def judge_rows(pool: Tensor, samples: Iterable[DataSample],
               localizer: CombinationalLocalizer) -> dict[str, float]:
    """How well rows localize objects, and how much they resemble them; uses no image content.

    Args:
        pool (Tensor): Q, shape (n, h, w).
        samples (Iterable[DataSample]): Samples of a test set with ``gt_label``, ``gt_bboxes``,
            sizes and, optionally, ``gt_mask``.
        localizer (CombinationalLocalizer): Finds the boxes of rows, as if they were score maps.

    Returns:
        dict[str, float]: ``gt_known_loc_own`` (``_other``, ``_mean``), the percentage of images
        whose object is localized at IoU 0.5 by the row of its class (of another class, the mean
        row). If all samples have masks, also ``foreground_own`` (``_other``): the mean
        correlation of a row with the mean object mask of its class (of the other classes); the
        correlation with the mean background is the negative of that.
    """
    hits, masks, labels = [], [], []
    for sample in samples:
        with naming_the_image(sample):
            fields = sample.to_dict()
            label = torch.as_tensor(sample.gt_label).reshape(1)
            maps = torch.cat([read(pool, label) for read in ROWS.values()])
            maps = maps - maps.amin(dim=(1, 2), keepdim=True)
            boxes = localizer.boxes(maps[None], [sample])[0].numpy()
            hits.append(box_iou(boxes, read_field(fields, 'gt_bboxes')).max(axis=1) >= 0.5)
            labels.append(int(label))
            if fields.get('gt_mask') is not None:
                masks.append(shrink_mask(fields['gt_mask'], pool.shape[1:]))
    found = {f'gt_known_loc_{name}': share
             for name, share in zip(ROWS, 100 * np.mean(hits, axis=0), strict=True)}
    if len(masks) == len(hits):
        means = mean_by_class(np.stack(masks), np.array(labels), len(pool))
        likeness = own_and_other(correlations(pool.numpy(), means))
        found |= dict(zip(('foreground_own', 'foreground_other'), likeness, strict=True))
    return found


def shrink_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Share of object pixels in each cell of a coarser grid (h, w)."""
    return cv2.resize((mask == 1).astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)


def mean_by_class(maps: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Mean of the maps of each class, shape (n, h, w); zero for a class without maps."""
    return np.stack([maps[labels == k].mean(axis=0) if (labels == k).any() else 0 * maps[0]
                     for k in range(num_classes)])
