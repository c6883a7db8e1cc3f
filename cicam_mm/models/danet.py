"""A tree over the classes, such as order, family and species, read level by level."""
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from mmengine.dist import broadcast
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from cicam_mm.localization.class_maps import ClassMaps, DenseClassMaps
from cicam_mm.localization.map_rules import rank_classes
from cicam_mm.utils.errors import UserError

from .map_branch import map_branch
from .wsol_head import WSOLHead


def group_levels(tree: Mapping, num_classes: int) -> list[Tensor]:
    """The group of each class at each level of a tree, from the root down, (n, ), int64.

    The tree is nested by name, with class indices at the leaves, all at the same depth:
    ``dict(vehicles=dict(cars=[0, 3], ships=[1]), animals=dict(birds=[2]))`` has two levels over
    four classes. Groups are numbered by their smallest class, so the order in which the tree is
    written does not matter.

    Raises:
        UserError: If the tree does not hold every class exactly once, or if its leaves are at
            different depths.
    """
    paths = dict(_walk(tree, (), {}))
    missing = sorted(set(range(num_classes)) - set(paths))
    unknown = sorted(set(paths) - set(range(num_classes)))
    if missing or unknown:
        raise UserError(f'the class hierarchy must hold the classes 0 to {num_classes - 1}: '
                        f'missing are {missing or "none"}, unknown are {unknown or "none"}.')
    depths = {len(path) for path in paths.values()}
    if len(depths) > 1:
        raise UserError('all classes of the hierarchy must be at the same depth, but some are '
                        f'at {min(depths)} and some at {max(depths)}.')
    levels = []
    for depth in range(1, depths.pop() + 1):
        numbers = {}
        levels.append(torch.tensor([
            numbers.setdefault(paths[label][:depth], len(numbers))
            for label in range(num_classes)]))
    return levels


def _walk(node, path, seen):
    """Yield each class with the path of names that leads to it."""
    if isinstance(node, Mapping):
        for name, child in node.items():
            yield from _walk(child, (*path, name), seen)
        return
    for label in node:
        if label in seen:
            raise UserError(f'class {label} is in the class hierarchy twice: in '
                            f'{"/".join(map(str, seen[label]))} and {"/".join(map(str, path))}.')
        seen[label] = path
        yield label, path


class LevelClassMaps(ClassMaps):
    """Class maps plus, from each coarser level of a hierarchy, the map of the group of equal rank.

    DANet localizes this way: to the map of the class of rank i it adds, for each coarser level,
    the map of the group that has rank i there, which need not contain the class. Classes of rank
    ``num_ranked`` and lower, and ranks that a level does not have, get the best group, as in the
    released code for a given class.

    Maps (B, n_l, h_l, w_l) and the scores (B, n_l) that rank their groups go from the coarsest
    level to the classes; the sums have the size of the first.
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
        chosen = [*(groups.gather(1, classes) for groups in self._groups), classes]
        size = self.maps[0].shape[2:]
        return sum(resize_keeping_corners(DenseClassMaps(maps).of_classes(groups), size)
                   for maps, groups in zip(self.maps, chosen, strict=True))


def resize_keeping_corners(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resizing of maps (B, k, h, w) to (B, k, *size) with aligned corners."""
    return F.interpolate(maps, size=tuple(size), mode='bilinear', align_corners=True)


@MODELS.register_module()
class DANetHead(WSOLHead):
    """Divergent activation (DANet, ICCV 2019): K diverse maps per class and class group.

    Each level of a class hierarchy, from the coarsest to the classes themselves, has a branch on
    its own feature map, which gives K maps for every group; their mean over K and positions is
    the group's score. The loss is half of each level's cross entropy, plus the similarity D of
    the true groups' maps, computed on half of them, drawn anew for each batch
    (:func:`similarity_of_maps`). The map of a class is the mean over K of the positive parts of
    its maps, plus that of one group at each coarser level (:class:`LevelClassMaps`).

    Args:
        hierarchy (dict): Tree over the classes, see :func:`group_levels`, with one level fewer
            than there are feature maps.
        in_channels (Sequence[int]): Channels of the feature maps, from the coarsest level to
            the classes. Defaults to (256, 512, 512): VGG16 after pool 3, pool 4 and conv5_3.
        num_maps (int): K; 8 in the release for CUB.
        similarity_weight (float): alpha, the weight of D; 0.01 in the release for CUB.
        localizer (dict): The authors tried theta from 0.05 to 0.3 in testing.
    """

    def __init__(self,
                 num_classes: int,
                 hierarchy: Mapping,
                 in_channels: Sequence[int] = (256, 512, 512),
                 hidden_channels: Sequence[int] = (512, 1024, 1024),
                 num_maps: int = 8,
                 similarity_weight: float = 0.01,
                 localizer: dict = dict(map_rule='top1', box_rule='danet', theta=0.1),
                 loss: dict = dict(type='CrossEntropyLoss', loss_weight=0.5),
                 init_cfg: dict | None = dict(
                     type='Xavier', layer='Conv2d', distribution='uniform'),
                 **kwargs):
        super().__init__(num_classes, localizer, loss=loss, init_cfg=init_cfg, **kwargs)
        levels = [*group_levels(hierarchy, num_classes), torch.arange(num_classes)]
        if not len(levels) == len(in_channels) == len(hidden_channels):
            raise UserError(
                f'the hierarchy and its classes make {len(levels)} levels, but in_channels has '
                f'{len(in_channels)} entries and hidden_channels {len(hidden_channels)}; give one '
                'of each for every level.')
        self.in_channels = in_channels
        self.num_maps = num_maps
        self.similarity_weight = similarity_weight
        self.register_buffer('groups', torch.stack(levels), persistent=False)
        self.branches = nn.ModuleList(
            map_branch(channels, hidden, num_maps * (int(groups.max()) + 1))
            for channels, hidden, groups in zip(
                in_channels, hidden_channels, levels, strict=True))

    def group_maps(self, feats: tuple[Tensor]) -> list[Tensor]:
        """The K maps of every group at each level, shape (B, n_l, K, h_l, w_l)."""
        return [branch(self.feature_map(feats, channels, level)).unflatten(1, (-1, self.num_maps))
                for level, (branch, channels) in enumerate(
                    zip(self.branches, self.in_channels, strict=True))]

    def localize(self, feats: tuple[Tensor]) -> tuple[Tensor, ClassMaps]:
        """Scores of the classes, and their maps summed over the levels."""
        maps = self.group_maps(feats)
        scores = [_scores(each) for each in maps]
        positive = [each.relu().mean(dim=2) for each in maps]
        return scores[-1], LevelClassMaps(positive, scores, self.num_boxes)

    def loss(self, feats: tuple[Tensor], data_samples: list[DataSample],
             **kwargs) -> dict[str, Tensor]:
        """Cross entropy of each level, coarsest first, and alpha D of the true groups' maps."""
        maps = self.group_maps(feats)
        targets = self.groups[:, self.labels(data_samples)]
        losses = self._get_loss(_scores(maps[-1]), data_samples, **kwargs)
        losses[f'loss_level{len(maps) - 1}'] = losses.pop('loss')
        for level, target in enumerate(targets[:-1]):
            losses[f'loss_level{level}'] = self.loss_module(
                _scores(maps[level]), target, avg_factor=len(target), **kwargs)
        images = torch.arange(targets.shape[1], device=targets.device)
        of_truth = [each[images, target] for each, target in zip(maps, targets, strict=True)]
        losses['loss_similarity'] = self.similarity_weight * self._similarity(of_truth)
        return losses

    def _similarity(self, maps):
        """D of a random half of the maps (B, K, h_l, w_l), the same half for all images."""
        maps = torch.cat([resize_keeping_corners(each, maps[0].shape[2:]) for each in maps], 1)
        return similarity_of_maps(maps[:, self._draw(maps.shape[1])].float()).mean()

    def _draw(self, total):
        drawn = torch.randperm(total)[:total // 2]
        broadcast(drawn)  # the same draw for the whole batch, on however many processes
        return drawn


def similarity_of_maps(maps: Tensor, eps: float = 1e-8) -> Tensor:
    """DANet's D of each image: the absolute value of the mean cosine over all pairs of its maps.

    Cosines of opposite sign cancel, because the absolute value is taken last. With fewer than two
    maps (B, c, h, w) there are no pairs, and D is 0. Maps that are zero get no gradient.
    """
    vectors = maps.flatten(2)
    vectors = vectors * torch.rsqrt(vectors.square().sum(dim=2, keepdim=True) + eps)
    # the square of a sum holds each pair twice
    pairs = (vectors.sum(dim=1).square() - vectors.square().sum(dim=1)).sum(dim=1) / 2
    count = maps.shape[1] * (maps.shape[1] - 1) // 2
    return pairs.abs() / max(count, 1)


def _scores(maps):
    return maps.mean(dim=(2, 3, 4))
