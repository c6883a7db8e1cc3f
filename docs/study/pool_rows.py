"""What the rows of a context pool are: how similar, of how many maps, and what they resemble.

Rows are the contexts Q_k, shape (n, h, w). Correlation means Pearson's, over the positions of two
maps; the correlation with a constant map is NaN.
"""
from collections.abc import Iterable

import cv2
import numpy as np
import torch
from controlled_pool import mean_row, other_row, own_row
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.localization.localizer import CombinationalLocalizer
from cicam_mm.localization.overlap import box_iou
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.samples import naming_the_image, read_field

ROWS = dict(own=own_row, other=other_row, mean=mean_row)


def correlations(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Correlation of each of k maps (k, h, w) with each of m others (m, h, w), shape (k, m)."""
    return _unit_rows(maps) @ _unit_rows(others).T


def _unit_rows(maps):
    rows = np.asarray(maps, np.float64).reshape(len(maps), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 1e-9, length, np.nan)


def singular_energies(pool: np.ndarray) -> np.ndarray:
    """Share of each singular vector in the energy of the pool, in descending order.

    It tells of how many different maps the pool consists. The energy is the sum of squares of the
    pool as a matrix (n, h * w), not centred.
    """
    squares = np.linalg.svd(
        np.asarray(pool, np.float64).reshape(len(pool), -1), compute_uv=False)**2
    return squares / squares.sum()


def closeness_to_centre(height: int, width: int) -> np.ndarray:
    """The negative distance of each cell to the middle of the map, in cells, (h, w)."""
    y, x = (np.arange(size) - (size - 1) / 2 for size in (height, width))
    return -np.hypot(y[:, None], x)


def own_and_other(likeness: np.ndarray) -> tuple[float, float]:
    """Means of a (n, n) matrix on and off its diagonal, without NaN: own class and others."""
    own = np.eye(len(likeness), dtype=bool)
    return float(np.nanmean(likeness[own])), float(np.nanmean(likeness[~own]))


def describe_rows(pool: np.ndarray) -> dict[str, float]:
    """Statistics of a pool that depend only on its rows.

    Returns:
        dict[str, float]: ``fed_rows``, the number of rows that are not all zero;
        ``row_correlation``, the mean over pairs of classes, and ``row_correlation_deviation``;
        ``mean_row_correlation``, of a row with the mean row, and ``mean_row_correlation_lowest``;
        ``energy_1`` to ``energy_3``, the shares of the first singular vectors;
        ``centre_correlation``, of the mean row with the negative distance to the middle. Rows
        that were never updated are left out.
    """
    fed = pool[np.any(pool, axis=(1, 2))]
    if len(fed) < 2:
        raise UserError(f'only {len(fed)} of the {len(pool)} rows of this context pool have been '
                        'updated, so there is nothing to compare; use a checkpoint of a later '
                        'epoch.')
    between = correlations(fed, fed)[np.triu_indices(len(fed), 1)]  # of each pair of classes
    mean = fed.mean(axis=0, keepdims=True)
    with_mean = correlations(fed, mean)
    centre = closeness_to_centre(*pool.shape[1:])[None]
    energies = [*singular_energies(fed), 0., 0.][:3]
    return dict(
        fed_rows=len(fed),
        row_correlation=between.mean(), row_correlation_deviation=between.std(),
        mean_row_correlation=with_mean.mean(), mean_row_correlation_lowest=with_mean.min(),
        **{f'energy_{i}': energy for i, energy in enumerate(energies, 1)},
        centre_correlation=correlations(mean, centre).item())


def judge_rows(pool: Tensor, samples: Iterable[DataSample],
               localizer: CombinationalLocalizer) -> dict[str, float]:
    """How well rows localize objects, and how much they resemble them; uses no image content.

    The localizer finds the boxes of rows as if they were score maps. Samples need ``gt_label``,
    ``gt_bboxes``, sizes and, optionally, ``gt_mask``.

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
