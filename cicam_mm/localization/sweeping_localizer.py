"""Boxes at every theta and with every map rule, from one pass over the images."""
from collections.abc import Sequence

import torch
from mmpretrain.registry import TASK_UTILS
from mmpretrain.structures import DataSample
from torch import Tensor

from .class_maps import ClassMaps
from .localizer import CombinationalLocalizer, check_theta


@TASK_UTILS.register_module()
class SweepingLocalizer(CombinationalLocalizer):
    """A localizer that also finds the label's box with other map rules and thetas.

    It adds ``swept_boxes`` (R, T, 4) to each data sample, where R is the number of map rules and
    T that of thetas; they are the ``label_box`` a :class:`CombinationalLocalizer` with that rule
    and theta would find. Everything else is that localizer's.

    Args:
        map_rules (Sequence[str]): The map rules to try.
        thetas (Sequence[float]): The thetas to try.
        **kwargs: Of :class:`CombinationalLocalizer`.
    """

    def __init__(self, map_rules: Sequence[str], thetas: Sequence[float], **kwargs):
        super().__init__(**kwargs)
        for theta in thetas:
            check_theta(theta)
        self._thetas = thetas
        self._of_rules = [CombinationalLocalizer(**{**kwargs, 'map_rule': rule})
                          for rule in map_rules]

    def score_maps(self, class_maps: ClassMaps, scores: Tensor, classes: Tensor) -> Tensor:
        """As of :class:`CombinationalLocalizer`; the last of the classes is the label."""
        self._label_maps = [
            localizer.score_maps(class_maps, scores, classes)[:, -1:].detach().float()
            for localizer in self._of_rules]
        return super().score_maps(class_maps, scores, classes)

    def boxes(self, maps: Tensor, samples: Sequence[DataSample]) -> Tensor:
        """As of :class:`CombinationalLocalizer`, for the images :meth:`score_maps` was given."""
        swept = torch.stack([self.boxes_at(label_maps, samples, self._thetas)[:, :, 0]
                             for label_maps in self._label_maps], 1)
        for sample, boxes in zip(samples, swept, strict=True):
            sample.set_data(dict(swept_boxes=boxes))
        return super().boxes(maps, samples)
