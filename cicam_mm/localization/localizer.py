from collections.abc import Sequence

import torch
from mmpretrain.registry import TASK_UTILS
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_lite import get_box_rule
from cicam_mm.errors import UserError

from .boxes import sweep_boxes
from .class_maps import ClassMaps
from .combination import check_map_rule, class_coefficients, rank_weights


@TASK_UTILS.register_module()
class CombinationalLocalizer:
    """Combines the maps of all classes into a score map (Eq. 3) and finds its box.

    The combinational part of CI-CAM and NL-CCAM; with the map rule ``top1`` it is CAM.

    Args:
        map_rule (str): How to combine the class activation maps, see :func:`rank_weights`.
            Defaults to 'quadratic', as in CI-CAM's release.
        box_rule (str): How to find the box of a map, see :class:`BoxRule`. Defaults to 'ci_cam'.
        theta (float): Threshold as a share of the map's maximum, in [0, 1). Defaults to 0.
        num_lowest (int): How many of the lowest-ranked maps the rules ``mean`` and
            ``weighted_mean`` subtract. Defaults to 20.
        split (int, optional): Rank at which ``quadratic_two_sided`` changes sign. Defaults to
            None, half the classes.
        k (int, optional): How many maps of the best classes ``topk_mean`` averages. Defaults to
            None, all.
        frame (str): 'original' for boxes in pixels of the original image, if inputs are the
            whole image resized; 'input' for boxes in pixels of the network's input, as in the
            protocol that evaluates on a crop. Defaults to 'original'.
    """

    def __init__(self,
                 map_rule: str = 'quadratic',
                 box_rule: str = 'ci_cam',
                 theta: float = 0.,
                 num_lowest: int = 20,
                 split: int | None = None,
                 k: int | None = None,
                 frame: str = 'original'):
        check_theta(theta)
        if frame not in ('original', 'input'):
            raise UserError(f"unknown frame {frame!r}; known are 'original', 'input'.")
        check_map_rule(map_rule)
        self.map_rule = map_rule
        self.box_rule = box_rule
        self._box_rule = get_box_rule(box_rule)
        self.theta = theta
        self.frame = frame
        self.rule_options = dict(num_lowest=num_lowest, split=split, k=k)

    @property
    def class_dependent(self) -> bool:
        """Whether each class has its own map (plain CAM) or all classes share one."""
        return self.map_rule == 'top1'

    def with_settings(self, map_rule: str, box_rule: str,
                      theta: float) -> 'CombinationalLocalizer':
        """A localizer that differs from this one in these settings alone."""
        return CombinationalLocalizer(
            map_rule, box_rule, theta, frame=self.frame, **self.rule_options)

    def score_maps(self, class_maps: ClassMaps, scores: Tensor, classes: Tensor) -> Tensor:
        """Localization maps H on the feature grid, minimum 0.

        Args:
            class_maps (ClassMaps): The maps of all n classes.
            scores (Tensor): Scores that rank the classes, shape (B, n).
            classes (Tensor): Classes whose maps to return, shape (B, k).

        Returns:
            Tensor: Shape (B, k, h, w), or (B, 1, h, w) if all classes share one map.
        """
        if self.class_dependent:
            maps = class_maps.of_classes(classes)
        else:
            gamma = rank_weights(self.map_rule, scores.shape[1], **self.rule_options)
            maps = class_maps.weighted_sum(class_coefficients(scores, gamma))
        return maps - maps.amin(dim=(2, 3), keepdim=True)

    def boxes(self, maps: Tensor, samples: Sequence[DataSample]) -> Tensor:
        """Boxes of score maps; also sets ``box_frame`` of each sample to their frame.

        Args:
            maps (Tensor): Shape (B, k, h, w), minimum 0.
            samples (Sequence[DataSample]): With the ``img_shape`` of the network's input and,
                for the original frame, the ``ori_shape`` of each image.

        Returns:
            Tensor: Shape (B, k, 4), int64, x0, y0, x1, y1 in the localizer's frame.
        """
        return self.boxes_at(maps, samples, [self.theta])[:, 0]

    def boxes_at(self, maps: Tensor, samples: Sequence[DataSample],
                 thetas: Sequence[float]) -> Tensor:
        """Like :meth:`boxes`, at each of T thresholds; shape (B, T, k, 4)."""
        for sample in samples:
            sample.set_metainfo(dict(box_frame=self.frame))
        return torch.stack([self._boxes_of_image(image_maps, sample, thetas)
                            for image_maps, sample in zip(maps, samples, strict=True)])

    def _boxes_of_image(self, maps, sample, thetas):
        if self.frame == 'original' and sample.get('flip'):
            raise UserError(f'boxes refer to the original image, but image {sample.sample_idx} '
                            'was flipped; remove RandomFlip from the test pipeline.')
        ori_shape = sample.ori_shape if self.frame == 'original' else None
        return torch.from_numpy(
            sweep_boxes(maps, self._box_rule, thetas, sample.img_shape, ori_shape))


def check_theta(theta: float) -> None:
    """Raise a ValueError unless theta is a share of the maximum in [0, 1)."""
    if not 0 <= theta < 1:
        raise UserError(f'theta must be a share of the maximum in [0, 1), got {theta}.')
