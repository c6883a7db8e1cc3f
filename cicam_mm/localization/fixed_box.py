"""The baseline that does not look at the image: one box for all of them."""
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from mmpretrain.registry import TASK_UTILS
from mmpretrain.structures import DataSample
from numpy.typing import ArrayLike
from torch import Tensor

from cicam_mm.utils.errors import UserError

from .class_maps import ClassMaps
from .localizer import CombinationalLocalizer

GRID = 112  # cells of the score map along each side


@TASK_UTILS.register_module()
class FixedBoxLocalizer(CombinationalLocalizer):
    """The same box in every image, whatever the map; the class is still the classifier's.

    What a method finds beyond this box it has learned from images. The score map is 1 inside the
    box, so metrics that judge maps judge the same box.

    Args:
        box (Sequence[float]): x0, y0, x1, y1 as shares of the width and height. Defaults to the
            whole image; :func:`best_box` finds the one that fits most of given boxes.
    """

    def __init__(self, box: Sequence[float] = (0., 0., 1., 1.),
                 frame: Literal['original', 'input'] = 'original'):
        super().__init__(frame=frame)
        if len(box) != 4 or not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
            raise UserError('box must be x0, y0, x1, y1 as shares of the width and height, '
                            f'got {box}.')
        self.box = np.array(box, np.float64)

    def score_maps(self, class_maps: ClassMaps, scores: Tensor, classes: Tensor) -> Tensor:
        """A map of the box, shape (B, 1, 112, 112)."""
        x0, y0, x1, y1 = (self.box * GRID).round().astype(int).tolist()
        score_map = scores.new_zeros(GRID, GRID)
        score_map[y0:y1, x0:x1] = 1
        return score_map.expand(len(scores), 1, -1, -1)

    def boxes_at(self, maps: Tensor, samples: Sequence[DataSample],
                 thetas: Sequence[float]) -> Tensor:
        """The box in pixels of each image, the same at each of T thresholds, (B, T, k, 4)."""
        sizes = np.array([self.frame_shape(sample)[::-1] * 2 for sample in samples])
        boxes = torch.from_numpy((self.box * sizes).round().astype(np.int64))
        return boxes[:, None, None].expand(-1, len(thetas), maps.shape[1], -1)


def best_box(truths: ArrayLike, iou: float = 0.5, steps: int = 25) -> tuple[np.ndarray, float]:
    """The box that reaches an IoU with most of the given ones; of equals the first.

    Args:
        truths (array): x0, y0, x1, y1 as shares of the width and height, shape (m, 4).
        steps (int): The sides of the box lie on multiples of 1 / steps.

    Returns:
        tuple: The box as shares, and the percentage of truths that it reaches.
    """
    truths = np.asarray(truths, np.float64)
    ends = [(low, high) for low in range(steps) for high in range(low + 1, steps + 1)]
    spans = np.array(ends) / steps  # along one axis
    shared = [np.clip(np.minimum(spans[:, 1, None], truths[:, axis + 2])
                      - np.maximum(spans[:, 0, None], truths[:, axis]), 0, None)
              for axis in (0, 1)]
    lengths = spans[:, 1] - spans[:, 0]
    areas = (truths[:, 2] - truths[:, 0]) * (truths[:, 3] - truths[:, 1])
    best, reached = np.zeros(4), -1
    for of_x, length, (x0, x1) in zip(shared[0], lengths, spans, strict=True):
        inside = of_x * shared[1]
        hits = (inside >= iou * (length * lengths[:, None] + areas - inside)).sum(axis=1)
        if hits.max() > reached:
            reached = hits.max()
            y0, y1 = spans[hits.argmax()]
            best = np.array([x0, y0, x1, y1])
    return best, float(reached / len(truths) * 100)
