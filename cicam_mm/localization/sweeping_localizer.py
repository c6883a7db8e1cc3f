"""Boxes for every map rule and theta, from one pass over the images."""
from collections.abc import Sequence

import torch
from mmpretrain.registry import TASK_UTILS
from mmpretrain.structures import DataSample
from torch import Tensor

from .class_maps import ClassMaps
from .localizer import CombinationalLocalizer, check_theta


@TASK_UTILS.register_module()
class SweepingLocalizer(CombinationalLocalizer):
    """A localizer that also finds the label's box for other map rules and thetas.

    It adds ``swept_boxes`` (R, T, 4) to each data sample, for R map rules and T thetas: each is
    the ``label_box`` that a :class:`CombinationalLocalizer` with that rule and theta would find.
    Otherwise it works like a :class:`CombinationalLocalizer`.

    Args:
        map_rules (Sequence[str]): The map rules to try.
        thetas (Sequence[float]): The thetas to try.
        **kwargs: Arguments of :class:`CombinationalLocalizer`.
    """

    def __init__(self, map_rules: Sequence[str], thetas: Sequence[float], **kwargs):
        super().__init__(**kwargs)
        for theta in thetas:
            check_theta(theta)
        self._thetas = thetas
        self._of_rules = [CombinationalLocalizer(**{**kwargs, 'map_rule': rule})
                          for rule in map_rules]

    def score_maps(self, class_maps: ClassMaps, scores: Tensor, classes: Tensor) -> Tensor:
        """See :class:`CombinationalLocalizer`; the last class must be the label."""
        self._label_maps = [
            localizer.score_maps(class_maps, scores, classes)[:, -1:].detach().float()
            for localizer in self._of_rules]
        return super().score_maps(class_maps, scores, classes)

    def boxes(self, maps: Tensor, samples: Sequence[DataSample]) -> Tensor:
        """See :class:`CombinationalLocalizer`; for the images of the last :meth:`score_maps`."""
        swept = torch.stack([self.boxes_at(label_maps, samples, self._thetas)[:, :, 0]
                             for label_maps in self._label_maps], 1)
        for sample, boxes in zip(samples, swept, strict=True):
            sample.set_data(dict(swept_boxes=boxes))
        return super().boxes(maps, samples)
