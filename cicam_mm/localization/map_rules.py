"""Map rules: how the class activation maps of an image become its localization map H.

A rule ranks the classes by their scores (Eq. 2) and weighs their maps by rank (Eq. 3):
H = sum_k gamma(k) M_{t_k}, where t_k is the class of rank k. To add one, register a subclass of
:class:`MapRule`, or of :class:`RankWeights` if it is a gamma, in ``MAP_RULES``; configs, the
search for theta, the app and the export then take it.
"""
from inspect import signature

import torch
from mmengine.registry import Registry
from torch import Tensor

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.stack import is_exporting

from .class_maps import ClassMaps

#: Map rules by the name that configs use.
MAP_RULES = Registry('map rule')


def build_map_rule(rule: str | dict, **options) -> 'MapRule':
    """Build a map rule from its name, or from ``dict(type=name, ...)`` with its options.

    Further options are values for those that ``rule`` does not set; names that the rule does not
    have are ignored, so that rules can be exchanged.
    """
    given = dict(type=rule) if isinstance(rule, str) else dict(rule)
    kind = MAP_RULES.get(given.pop('type'))
    if kind is None:
        raise UserError(
            f'unknown map rule {rule!r}; known are {", ".join(MAP_RULES.module_dict)}.')
    taken = {name: value for name, value in options.items() if name in signature(kind).parameters}
    return kind(**{**taken, **given})


def rule_name(rule: str | dict) -> str:
    """A map rule as text: its name, and its options if it has any."""
    if isinstance(rule, str):
        return rule
    options = ', '.join(f'{key}={value}' for key, value in rule.items() if key != 'type')
    return f'{rule["type"]}({options})' if options else rule['type']


class MapRule:
    """How the maps of all classes become score maps."""

    def __call__(self, class_maps: ClassMaps, scores: Tensor, classes: Tensor) -> Tensor:
        """Score maps of the given classes (B, k), ranked by scores (B, n).

        They are (B, k, h, w), or (B, 1, h, w) if all classes share one.
        """
        raise NotImplementedError

    def check(self, num_classes: int) -> None:
        """Raise a UserError if the rule does not fit the number of classes."""


@MAP_RULES.register_module('top1')
class OwnMap(MapRule):
    """The map of the class itself: plain CAM."""

    def __call__(self, class_maps, scores, classes):
        return class_maps.of_classes(classes)


class RankWeights(MapRule):
    """A weighted sum of the maps of all classes; subclasses define ``gamma``."""

    def gamma(self, num_classes: int) -> Tensor:
        """The weight of each rank, shape (n, ), float32; rank 0 has the highest score."""
        raise NotImplementedError

    def __call__(self, class_maps, scores, classes):
        gamma = self.gamma(scores.shape[1])
        return class_maps.weighted_sum(class_coefficients(scores, gamma))

    def check(self, num_classes):
        if num_classes < 2:
            raise UserError(f'combining maps takes at least 2 classes, got {num_classes}.')
        self.gamma(num_classes)


@MAP_RULES.register_module('linear')
class Linear(RankWeights):
    """From 1 to -1 in equal steps (NL-CCAM)."""

    def gamma(self, num_classes):
        return torch.linspace(1, -1, num_classes)


@MAP_RULES.register_module('quadratic')
class Quadratic(RankWeights):
    """-(k / (n - 1))^2, so the top class weighs 0 (CI-CAM)."""

    def gamma(self, num_classes):
        return -torch.linspace(0, 1, num_classes)**2


@MAP_RULES.register_module('quadratic_two_sided')
class QuadraticTwoSided(RankWeights):
    """1 to 0 in equal steps, squared, then minus 0 to -1, squared (NL-CCAM).

    The sign changes at the rank b, ``split``; None stands for half the classes (100 of 200, as in
    NL-CCAM's release).
    """

    def __init__(self, split: int | None = None):
        self.split = split

    def gamma(self, num_classes):
        split = num_classes // 2 if self.split is None else self.split
        if not 0 < split < num_classes:
            raise UserError('quadratic_two_sided needs 0 < split < num_classes, got '
                            f'split={split} with {num_classes} classes; leave split=None to take '
                            'half of them.')
        lower = num_classes - split
        return torch.cat([torch.linspace(1, 0, split)**2, -torch.linspace(0, -1, lower)**2])


@MAP_RULES.register_module('mean')
class TopMinusLowest(RankWeights):
    """The top map minus the mean of the m lowest ones (``num_lowest``)."""

    def __init__(self, num_lowest: int = 20):
        self.num_lowest = num_lowest

    def gamma(self, num_classes):
        if not 0 < self.num_lowest < num_classes:
            raise UserError(f'num_lowest must be at least 1 and below the number of classes, '
                            f'{num_classes}, got {self.num_lowest}; set it in '
                            'model.head.localizer, or choose another map rule.')
        gamma = torch.zeros(num_classes)
        gamma[0] = 1
        gamma[num_classes - self.num_lowest:] -= self._weights()
        return gamma

    def _weights(self):
        return torch.full((self.num_lowest, ), 1 / self.num_lowest)


@MAP_RULES.register_module('weighted_mean')
class TopMinusWeightedLowest(TopMinusLowest):
    """The same with weights from 0 to 2, largest for the lowest rank."""

    def __init__(self, num_lowest: int = 20):
        super().__init__(num_lowest)
        if num_lowest == 1:
            raise UserError('weighted_mean needs num_lowest of at least 2, because the first of '
                            'the lowest maps has weight 0.')

    def _weights(self):
        return torch.linspace(0, 2, self.num_lowest) / self.num_lowest


@MAP_RULES.register_module('topk_mean')
class TopMean(RankWeights):
    """The mean of the maps of the k best classes, or of all (BAS)."""

    def __init__(self, k: int | None = None):
        self.k = k

    def gamma(self, num_classes):
        k = num_classes if self.k is None else self.k
        if not 0 < k <= num_classes:
            raise UserError(f'topk_mean needs 0 < k <= num_classes, got k={k} with {num_classes} '
                            'classes; leave k=None to take all.')
        gamma = torch.zeros(num_classes)
        gamma[:k] = 1 / k
        return gamma


def class_coefficients(scores: Tensor, gamma: Tensor) -> Tensor:
    """The coefficient of each class: gamma(k) for the class t_k of rank k (Eq. 2, 3).

    From scores S, (B, n), of which only the order matters, and rank weights (n, ) to (B, n).
    """
    gamma = gamma.to(scores.device).expand(scores.shape[0], -1)
    return torch.zeros_like(gamma).scatter(1, rank_classes(scores), gamma)


def rank_classes(scores: Tensor) -> Tensor:
    """Classes by descending score (t_1 ... t_n of Eq. 2), (B, n); ties go to the lower index."""
    if is_exporting():  # ONNX has no stable sort, but its TopK keeps the order of equals
        return scores.topk(scores.shape[1]).indices
    return scores.argsort(dim=1, descending=True, stable=True)
