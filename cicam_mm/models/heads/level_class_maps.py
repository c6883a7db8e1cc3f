from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cicam_mm.localization import activation_maps
from cicam_mm.localization.ranking import rank_classes


class LevelClassMaps:
    """Class maps plus, from each coarser level of a hierarchy, the map of the group of equal rank.

    DANet localizes this way: to the map of the class of rank i it adds, for each coarser level,
    the map of the group that has rank i there, which need not contain the class. Classes of rank
    ``num_ranked`` and lower, and ranks that a level does not have, get the best group, as in the
    released code for a given class.

    Args:
        maps (Sequence[Tensor]): Maps from the coarsest level to the classes, each of shape
            (B, n_l, h_l, w_l). The sums have the size of the first.
        scores (Sequence[Tensor]): Scores that rank the groups of each level, shape (B, n_l).
        num_ranked (int): How many of the best classes get groups of their own rank.
    """

    def __init__(self, maps: Sequence[Tensor], scores: Sequence[Tensor], num_ranked: int):
        self.maps = maps
        ranks = rank_classes(scores[-1]).argsort(dim=1)
        self._groups = []  # for each coarser level, the group added to each class, (B, n)
        for level_scores in scores[:-1]:
            known = min(num_ranked, level_scores.shape[1])
            self._groups.append(
                rank_classes(level_scores).gather(1, ranks.where(ranks < known, 0)))

    def of_classes(self, classes: Tensor) -> Tensor:
        """See :class:`ClassMaps`."""
        chosen = [*(groups.gather(1, classes) for groups in self._groups), classes]
        # take_along_dim would do, but an export with it has the size of its batch
        return self._total([
            maps.gather(1, groups[..., None, None].expand(-1, -1, *maps.shape[2:]))
            for maps, groups in zip(self.maps, chosen, strict=True)])

    def weighted_sum(self, coefficients: Tensor) -> Tensor:
        """See :class:`ClassMaps`."""
        coefficients = coefficients.to(self.maps[-1])
        of_groups = [
            torch.zeros_like(maps[:, :, 0, 0]).scatter_add(1, groups, coefficients)
            for maps, groups in zip(self.maps[:-1], self._groups, strict=True)]
        return self._total([
            activation_maps(maps, each[:, None])
            for maps, each in zip(self.maps, [*of_groups, coefficients], strict=True)])

    def _total(self, levels):
        size = self.maps[0].shape[2:]
        return sum(resize_keeping_corners(maps, size) for maps in levels)


def resize_keeping_corners(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resizing of maps (B, k, h, w) to (B, k, *size) with aligned corners."""
    return F.interpolate(maps, size=tuple(size), mode='bilinear', align_corners=True)
