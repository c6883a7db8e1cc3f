from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.localization.class_maps import ClassMaps, DenseClassMaps

from .erasing import check_share
from .map_branch import map_branch, stretch
from .wsol_head import WSOLHead


@MODELS.register_module()
class ACoLHead(WSOLHead):
    """Adversarial complementary learning (ACoL, CVPR 2018): head B sees what head A leaves.

    Heads A and B have the same layers but separate weights. Each ends in a map per class, whose
    mean is the class score. Head B gets the features without the positions where head A's map of
    the true class, normalized to [0, 1] for each image, is at least ``threshold``; that mask has
    no gradient. The loss is the sum of both cross entropies. Only head A classifies; the map of a
    class is the element-wise maximum of both heads' normalized maps (:class:`ACoLClassMaps`).

    The features are first averaged over 3x3 windows, which include the zero padding at borders.

    Args:
        threshold (float): delta, in [0, 1], at and above which positions are erased. 0.6 is the
            release's; it is 0.7 in "Evaluating WSOL Methods Right".
        erase_predicted (bool): Which class decides what is erased in testing, where the label is
            unknown. True: the class head A predicts, so head B runs once. False: for the map of
            each class, that class itself, so head B runs once per requested class. The release
            uses the true class; False gives the same map for it, hence the same GT-known Loc and
            Top-1 Loc.
        localizer (dict): theta 0.2 is ours; the authors chose theirs on the test images.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 hidden_channels: int = 1024,
                 threshold: float = 0.6,
                 erase_predicted: bool = False,
                 localizer: dict = dict(map_rule='top1', box_rule='wsoleval', theta=0.2),
                 init_cfg: dict | None = dict(
                     type='Xavier', layer='Conv2d', distribution='uniform'),
                 **kwargs):
        super().__init__(num_classes, localizer, init_cfg=init_cfg, **kwargs)
        check_share('threshold', threshold)
        self.in_channels = in_channels
        self.threshold = threshold
        self.erase_predicted = erase_predicted
        self.head_a = map_branch(in_channels, hidden_channels, num_classes)
        self.head_b = map_branch(in_channels, hidden_channels, num_classes)

    def pre_logits(self, feats: tuple[Tensor]) -> Tensor:
        """The last feature map, averaged over 3x3 windows, shape (B, c, h, w)."""
        features = self.feature_map(feats, self.in_channels)
        return F.avg_pool2d(features, 3, stride=1, padding=1)

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Scores of head A, and the fused maps of both heads."""
        features = self.pre_logits(feats)
        maps = self.head_a(features)
        scores = maps.mean(dim=(2, 3))
        if self.erase_predicted:
            erased = self.head_b(self.erase(features, maps, scores.argmax(dim=1)))
            return scores, ACoLClassMaps(maps, lambda classes: erased)
        return scores, ACoLClassMaps(
            maps, lambda classes: self.head_b(self.erase(features, maps, classes)))

    def erase(self, features: Tensor, maps: Tensor, classes: Tensor) -> Tensor:
        """Features without the positions where A's map of one class (B, ) of each is high."""
        attention = stretch(DenseClassMaps(maps.detach()).of_classes(classes[:, None]))
        return features.masked_fill(attention >= self.threshold, 0)

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample],
             **kwargs) -> dict[str, Tensor]:
        """Cross entropy of both heads; the accuracy is that of head A."""
        features = self.pre_logits(feats)
        maps = self.head_a(features)
        erased = self.head_b(self.erase(features, maps, self.labels(data_samples)))
        of_a = self._get_loss(maps.mean(dim=(2, 3)), data_samples, **kwargs)
        of_b = self._get_loss(erased.mean(dim=(2, 3)), data_samples, **kwargs)
        return dict(loss_a=of_a.pop('loss'), loss_b=of_b['loss'], **of_a)


class ACoLClassMaps(ClassMaps):
    """The element-wise maximum of two maps of a class, each normalized to [0, 1] first.

    If either map is constant, the result is zero (the released code divides 0 by 0).

    Args:
        maps (Tensor): Maps of head A, shape (B, n, h, w).
        erased_maps (Callable): Returns the maps of head B, shape (B, n, h, w), for one class per
            image, shape (B, ).
    """

    def __init__(self, maps: Tensor, erased_maps: Callable[[Tensor], Tensor]):
        self.maps = maps
        self.erased_maps = erased_maps

    def of_classes(self, classes: Tensor) -> Tensor:
        of_a = DenseClassMaps(self.maps).of_classes(classes)
        of_b = torch.cat([DenseClassMaps(self.erased_maps(column[:, 0])).of_classes(column)
                          for column in classes.split(1, dim=1)], dim=1)
        return torch.maximum(stretch(of_a), stretch(of_b)).nan_to_num(0)
