"""DDT: boxes from what the images of a class have in common, without training."""
from collections import defaultdict
from functools import partial

import torch
from mmengine.dist import all_gather, all_reduce
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.localization import ClassMaps, LinearClassMaps, SharedMap
from cicam_mm.utils.errors import UserError

from .wsol_head import WSOLHead


@MODELS.register_module()
class DDTHead(WSOLHead):
    """Deep descriptor transforming (DDT, Pattern Recognition 2019), as in PSOL (CVPR 2020).

    Each position of a feature map is a descriptor v. Over all positions of all training images of
    a class, m is the mean and c the first principal component, and the map of the class is
    P = (v - m) . c. What is positive belongs to the object, so floor and theta are 0.

    A component has no sign of its own: the descriptor with the largest absolute projection is
    made positive. That takes a second pass over the images, because the first one has to find c;
    :class:`FitLoop` makes both. Memory does not depend on the number of images: the first pass
    keeps sums and outer products, n c^2 numbers in float64 (2 GB for 1,000 classes and 512
    channels), and the eigenvectors are exact.

    DDT does not classify. The scores here are those of the nearest class mean of the pooled
    features x, -|x - m|^2 up to a term that all classes share.

    Args:
        per_class (bool): False for one component of all images, which needs c^2 numbers and
            localizes objects of any class.
    """

    #: Of :class:`FitLoop` over the training images.
    num_passes = 2

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 per_class: bool = True,
                 localizer: dict = dict(map_rule='top1', box_rule='ddt', theta=0., floor='zero'),
                 **kwargs):
        super().__init__(num_classes, localizer, **kwargs)
        self.in_channels = in_channels
        self.per_class = per_class
        groups = num_classes if per_class else 1
        self.register_buffer('class_mean', torch.zeros(num_classes, in_channels))
        self.register_buffer('mean', torch.zeros(groups, in_channels))
        self.register_buffer('component', torch.zeros(groups, in_channels))

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Scores of the nearest class mean, and the projections."""
        features = self.feature_map(feats, self.in_channels).float()
        scores = (2 * features.mean(dim=(2, 3)) @ self.class_mean.T
                  - self.class_mean.square().sum(dim=1))
        offset = -(self.component * self.mean).sum(dim=1)  # (v - m) . c is linear in v
        class_maps = LinearClassMaps(features, self.component, offset)
        if self.per_class:
            return scores, class_maps
        shared = torch.zeros(len(features), 1, dtype=torch.int64, device=features.device)
        return scores, SharedMap(class_maps.of_classes(shared))

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample], **kwargs):
        """There is none."""
        raise UserError('DDTHead has nothing to train, it is fitted; set train_cfg='
                        f"dict(_delete_=True, type='FitLoop', max_epochs={self.num_passes}).")

    def start_pass(self, number: int) -> None:
        """Forget what an earlier pass kept; see :class:`FitLoop`."""
        self._sum = torch.zeros_like(self.class_mean, dtype=torch.float64)
        self._outer = defaultdict(partial(
            self._sum.new_zeros, self.in_channels, self.in_channels))
        self._count = self._sum.new_zeros(self.num_classes)
        self._tail = self._sum.new_zeros(len(self.component))

    def observe(self, feats: tuple[Tensor], data_samples: list[DataSample], number: int) -> None:
        """Count a batch of training images in pass 0 for components, in pass 1 for signs."""
        features = self.feature_map(feats, self.in_channels)
        descriptors = features.flatten(2).transpose(1, 2).double()
        for each, label in zip(descriptors, self.labels(data_samples).tolist(), strict=True):
            group = label if self.per_class else 0
            if number == 0:
                self._count[label] += len(each)
                self._sum[label] += each.sum(dim=0)
                self._outer[group].addmm_(each.T, each)
            else:
                projections = (each - self.mean[group]) @ self.component[group].double()
                self._tail[group] = longest(torch.cat([self._tail[group, None], projections]))

    def finish_pass(self, number: int) -> None:
        """Find components or their signs from what all ranks have seen."""
        if number == 0:
            self._find_components()
        else:
            tails = longest(torch.stack(all_gather(self._tail)))
            self.component *= torch.where(tails < 0, -1., 1.)[:, None]
        self._outer.clear()

    def _find_components(self):
        all_reduce(self._count)
        all_reduce(self._sum)
        self.class_mean.copy_(self._sum / self._count.clamp(min=1)[:, None])
        for group in range(len(self.component)):
            members = group if self.per_class else slice(None)
            count, total = self._count[members].sum(), self._sum[members].reshape(
                -1, self.in_channels).sum(dim=0)
            all_reduce(self._outer[group])
            if count:
                self.mean[group], _, vectors = principal_components(
                    count, total, self._outer[group])
                self.component[group] = vectors[:, -1]


def principal_components(count: Tensor, total: Tensor,
                         outer: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, ascending variances (c, ) and components (c, c), in columns, of some vectors.

    They are given by their count, sum (c, ) and sum of outer products (c, c), all float64.
    """
    mean = total / count
    covariance = (outer - count * torch.outer(mean, mean)) / (count - 1).clamp(min=1)
    return mean, *torch.linalg.eigh(covariance)


def longest(values: Tensor) -> Tensor:
    """Of the values (k, ...) along the first axis the one that is largest without its sign."""
    return values.gather(0, values.abs().argmax(dim=0, keepdim=True))[0]
