from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cicam_mm.localization import activation_maps
from cicam_mm.localization.ranking import rank_classes


class LevelClassMaps:
    """Maps of classes to which each coarser level of a hierarchy adds a map of its own ranking.

    As DANet localizes: the map of the class of rank i is its own plus, on each coarser level,
    that of the group of rank i there. The group need not be the class's own. Classes below the
    ``num_ranked`` best, and ranks that a level does not have, are given the best group, as the
    released code does for a given class.

    Args:
        maps (Sequence[Tensor]): From the coarsest level to that of the classes, shape
            (B, n_l, h_l, w_l) each. Their sums have the size of the first.
        scores (Sequence[Tensor]): Scores that rank the groups of each level, shape (B, n_l).
        num_ranked (int): Ranks whose classes are given groups of the same rank.
    """

    def __init__(self, maps: Sequence[Tensor], scores: Sequence[Tensor], num_ranked: int):
        self.maps = maps
        ranks = rank_classes(scores[-1]).argsort(dim=1)
        self._groups = []  # of each coarser level, the group that each class goes with, (B, n)
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
    """Bilinear resizing of maps (B, k, h, w) to (B, k, *size) that leaves the corners in place."""
    return F.interpolate(maps, size=tuple(size), mode='bilinear', align_corners=True)
