"""Boxes at every theta and with every map rule, from one pass over the images."""
from collections.abc import Sequence

import torch
from mmpretrain.registry import TASK_UTILS
from mmpretrain.structures import DataSample
from torch import Tensor

from .class_maps import ClassMaps
from .localizer import CombinationalLocalizer


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
        self._swept = [
            [CombinationalLocalizer(**{**kwargs, 'map_rule': rule, 'theta': theta})
             for theta in thetas] for rule in map_rules]

    def score_maps(self, class_maps: ClassMaps, scores: Tensor, classes: Tensor) -> Tensor:
        """As of :class:`CombinationalLocalizer`; the last of the classes is the label."""
        self._label_maps = [
            at_thetas[0].score_maps(class_maps, scores, classes)[:, -1:].detach().float()
            for at_thetas in self._swept]
        return super().score_maps(class_maps, scores, classes)

    def boxes(self, maps: Tensor, samples: Sequence[DataSample]) -> Tensor:
        """As of :class:`CombinationalLocalizer`, for the images :meth:`score_maps` was given."""
        swept = torch.stack([
            torch.stack([localizer.boxes(label_maps, samples)[:, 0] for localizer in at_thetas], 1)
            for label_maps, at_thetas in zip(self._label_maps, self._swept, strict=True)], 1)
        for sample, boxes in zip(samples, swept, strict=True):
            sample.set_data(dict(swept_boxes=boxes))
        return super().boxes(maps, samples)
