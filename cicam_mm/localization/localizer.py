from collections.abc import Mapping, Sequence
from copy import copy
from typing import Literal

import torch
from mmpretrain.registry import TASK_UTILS
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_lite import get_box_rule, sweep_boxes
from cicam_mm.utils.errors import UserError, check_choices

from .class_maps import ClassMaps
from .map_rules import build_map_rule

#: What is subtracted from a score map before its box is found, by the option ``floor``.
FLOORS = {
    'minimum': lambda maps: maps - maps.amin(dim=(2, 3), keepdim=True),
    'zero': lambda maps: maps.clamp(min=0),
    'none': lambda maps: maps,
}


@TASK_UTILS.register_module()
class CombinationalLocalizer:
    """Combines the maps of all classes into a score map (Eq. 3) and finds its box.

    The combinational part of CI-CAM and NL-CCAM; with the map rule ``top1`` it is CAM.

    Args:
        map_rule (str | dict): How to combine the class activation maps: a name in ``MAP_RULES``,
            or ``dict(type=name, ...)`` with options. The default is that of CI-CAM's release.
        box_rule (str | dict): How to find the box of a map: a name in ``BOX_RULES``, or
            ``dict(type=name, ...)`` with other values for attributes of :class:`BoxRule`.
        theta (float): Threshold in [0, 1), for most box rules a share of the map's maximum.
        num_lowest (int): How many of the lowest-ranked maps the rules ``mean`` and
            ``weighted_mean`` subtract.
        split (int, optional): Rank at which ``quadratic_two_sided`` changes sign; None for half
            the classes.
        frame (str): 'original' for boxes in pixels of the original image, if inputs are the
            whole image resized; 'input' for boxes in pixels of the network's input, as in the
            protocol that evaluates on a crop.
        floor (str): Where a map starts: 'minimum' subtracts its minimum; 'zero' sets negative
            values to 0, as Grad-CAM does; 'none' keeps the map.
    """

    def __init__(self,
                 map_rule: str | dict = 'quadratic',
                 box_rule: str | dict = 'ci_cam',
                 theta: float = 0.,
                 num_lowest: int = 20,
                 split: int | None = None,
                 frame: Literal['original', 'input'] = 'original',
                 floor: Literal['minimum', 'zero', 'none'] = 'minimum'):
        check_choices(CombinationalLocalizer, frame=frame, floor=floor)
        self.map_rule = map_rule
        self.box_rule = box_rule
        self.theta = theta
        self.frame = frame
        self.floor = floor
        self._rule_options = dict(num_lowest=num_lowest, split=split)
        self._check()

    def _check(self):
        if not 0 <= self.theta < 1:
            raise UserError(f'theta must be a share of the maximum in [0, 1), got {self.theta}.')
        self._build_map_rule()
        get_box_rule(self.box_rule)

    def _build_map_rule(self):
        return build_map_rule(self.map_rule, **self._rule_options)

    def with_settings(self, **settings) -> 'CombinationalLocalizer':
        """A copy with another ``map_rule``, ``box_rule`` or ``theta``."""
        other = copy(self)
        vars(other).update(settings)
        other._check()
        return other

    def check(self, num_classes: int) -> None:
        """Raise a UserError if the map rule does not fit the number of classes."""
        self._build_map_rule().check(num_classes)

    def score_maps(self, class_maps: ClassMaps, scores: Tensor, classes: Tensor) -> Tensor:
        """Localization maps H on the feature grid, of the given classes (B, k).

        Scores (B, n) rank the classes. Maps are (B, k, h, w), or (B, 1, h, w) if all classes
        share one.
        """
        return FLOORS[self.floor](self._build_map_rule()(class_maps, scores, classes))

    def boxes(self, maps: Tensor, samples: Sequence[DataSample]) -> Tensor:
        """Boxes of score maps; also sets each sample's ``box_frame``, ``box_rule`` and ``theta``.

        Maps (B, k, h, w) become x0, y0, x1, y1 in the localizer's frame, (B, k, 4), int64. Samples
        have an ``img_shape``, of the network's input, and, for the original frame, ``ori_shape``.
        """
        rule: str | dict | None = self.box_rule
        if isinstance(rule, dict) and any(map(callable, rule.values())):
            rule = None  # saved predictions hold no code
        for sample in samples:
            sample.set_metainfo(dict(box_rule=rule, theta=self.theta))
        return self.boxes_at(maps, samples, [self.theta])[:, 0]

    def boxes_at(self, maps: Tensor, samples: Sequence[DataSample],
                 thetas: Sequence[float]) -> Tensor:
        """Like :meth:`boxes`, at each of T thresholds; shape (B, T, k, 4)."""
        boxes, rule = [], get_box_rule(self.box_rule)
        for image_maps, sample in zip(maps.cpu().numpy(), samples, strict=True):
            boxes.append(torch.from_numpy(sweep_boxes(
                image_maps, rule, thetas, sample.img_shape, self.frame_shape(sample))))
        return torch.stack(boxes)

    def frame_shape(self, sample: DataSample) -> tuple[int, int]:
        """(H, W) of the image in whose pixels boxes are; sets the sample's ``box_frame``."""
        sample.set_metainfo(dict(box_frame=self.frame))
        if self.frame == 'input':
            return sample.img_shape[:2]
        if sample.get('flip'):
            raise UserError('boxes refer to the original image, but image '
                            f'{sample.sample_idx} was flipped; remove RandomFlip from the test '
                            'pipeline.')
        return sample.ori_shape[:2]


@TASK_UTILS.register_module()
class SweepingLocalizer:
    """A localizer that also finds the label's box for other map rules and thetas.

    It adds ``swept_boxes`` (R, T, 4) to each data sample, for R map rules and T thetas: each is
    the ``label_box`` that the wrapped localizer would find with that rule and theta. Otherwise it
    does what the wrapped localizer, given by its config, does.
    """

    def __init__(self, localizer: Mapping, map_rules: Sequence[str | dict],
                 thetas: Sequence[float]):
        self._localizer = build_localizer(localizer)
        self._thetas = thetas
        self._of_rules = [self._localizer.with_settings(map_rule=rule) for rule in map_rules]
        for theta in thetas:
            self._localizer.with_settings(theta=theta)  # or an error

    def __getattr__(self, name):
        if name == '_localizer':  # a copy that is being made has no attributes yet
            raise AttributeError(name)
        return getattr(self._localizer, name)

    def score_maps(self, class_maps: ClassMaps, scores: Tensor, classes: Tensor) -> Tensor:
        """See :class:`CombinationalLocalizer`; the last class must be the label."""
        self._label_maps = [
            localizer.score_maps(class_maps, scores, classes)[:, -1:].detach().float()
            for localizer in self._of_rules]
        return self._localizer.score_maps(class_maps, scores, classes)

    def boxes(self, maps: Tensor, samples: Sequence[DataSample]) -> Tensor:
        """See :class:`CombinationalLocalizer`; for the images of the last :meth:`score_maps`."""
        swept = torch.stack([self._localizer.boxes_at(label_maps, samples, self._thetas)[:, :, 0]
                             for label_maps in self._label_maps], 1)
        for sample, boxes in zip(samples, swept, strict=True):
            sample.set_data(dict(swept_boxes=boxes))
        return self._localizer.boxes(maps, samples)


def build_localizer(config: Mapping) -> CombinationalLocalizer:
    """Build a localizer from its config; without ``type`` a :class:`CombinationalLocalizer`."""
    return TASK_UTILS.build(dict(dict(type='CombinationalLocalizer'), **config))
