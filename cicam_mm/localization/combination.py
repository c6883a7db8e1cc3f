"""Eq. 3: the weight of each class activation map in the localization map H.

H = sum_k gamma(k) M_{t_k}, where t_k is the class of rank k.
"""

import torch
from torch import Tensor

from cicam_mm.errors import UserError

from .ranking import rank_classes


def _top1(n, num_lowest, split, k):
    gamma = torch.zeros(n)
    gamma[0] = 1
    return gamma


def _linear(n, num_lowest, split, k):
    return torch.linspace(1, -1, n)


def _quadratic(n, num_lowest, split, k):
    return -torch.linspace(0, 1, n)**2


def _quadratic_two_sided(n, num_lowest, split, k):
    split = n // 2 if split is None else split
    if not 0 < split < n:
        raise UserError(f'quadratic_two_sided needs 0 < split < num_classes, got split={split} '
                        f'with {n} classes; leave split=None to take half of them.')
    return torch.cat([torch.linspace(1, 0, split)**2, -torch.linspace(0, -1, n - split)**2])


def _mean(n, num_lowest, split, k):
    return _top_minus_lowest(n, torch.full((num_lowest, ), 1 / max(num_lowest, 1)))


def _weighted_mean(n, num_lowest, split, k):
    if num_lowest == 1:
        raise UserError('weighted_mean needs num_lowest of at least 2, because the first of the '
                        'lowest maps has weight 0.')
    return _top_minus_lowest(n, torch.linspace(0, 2, num_lowest) / max(num_lowest, 1))


def _topk_mean(n, num_lowest, split, k):
    k = n if k is None else k
    if not 0 < k <= n:
        raise UserError(f'topk_mean needs 0 < k <= num_classes, got k={k} with {n} classes; leave '
                        'k=None to take all.')
    gamma = torch.zeros(n)
    gamma[:k] = 1 / k
    return gamma


def _top_minus_lowest(n, lowest):
    if not len(lowest):
        raise UserError('num_lowest must be at least 1, because zero maps have no mean.')
    if len(lowest) >= n:
        raise UserError(f'the {len(lowest)} lowest maps of {n} classes include the top one; '
                        'set num_lowest below the number of classes.')
    gamma = _top1(n, None, None, None)
    gamma[n - len(lowest):] -= lowest
    return gamma


MAP_RULES = {
    'top1': _top1,
    'linear': _linear,
    'quadratic': _quadratic,
    'quadratic_two_sided': _quadratic_two_sided,
    'mean': _mean,
    'weighted_mean': _weighted_mean,
    'topk_mean': _topk_mean,
}


def rank_weights(rule: str, num_classes: int, num_lowest: int = 20,
                 split: int | None = None, k: int | None = None) -> Tensor:
    """gamma(k) of Eq. 3 for every rank; rank 0 has the highest score.

    ===================== =====================================================
    rule                  gamma
    ===================== =====================================================
    top1                  1 for rank 0, else 0: the plain CAM
    linear                from 1 to -1 in equal steps (NL-CCAM)
    quadratic             -(k / (n - 1))^2, so the top class weighs 0 (CI-CAM)
    quadratic_two_sided   1 to 0 in equal steps, squared, over the first
                          ``split`` ranks; minus 0 to -1, squared, over the rest
                          (NL-CCAM)
    mean                  top map minus the mean of the ``num_lowest`` lowest
    weighted_mean         the same with weights from 0 to 2, largest for the
                          lowest rank
    topk_mean             1 / k for the first k ranks: the mean of their maps (BAS)
    ===================== =====================================================

    Args:
        rule (str): One of ``MAP_RULES``.
        num_classes (int): n, at least 2.
        num_lowest (int): m in ``mean`` and ``weighted_mean``. Defaults to 20.
        split (int, optional): b in ``quadratic_two_sided``. Defaults to None, half the classes
            (100 of 200, as in NL-CCAM's release).
        k (int, optional): How many maps ``topk_mean`` averages. Defaults to None, all.

    Returns:
        Tensor: gamma, shape (num_classes, ), float32.

    Raises:
        ValueError: If the rule is unknown or does not fit ``num_classes``.
    """
    check_map_rule(rule)
    if num_classes < 2:
        raise UserError(f'combining maps takes at least 2 classes, got {num_classes}.')
    return MAP_RULES[rule](num_classes, num_lowest, split, k)


def check_map_rule(rule: str) -> None:
    """Raise a ValueError that lists the known rules if the rule is unknown."""
    if rule not in MAP_RULES:
        raise UserError(f'unknown map rule {rule!r}; known are {", ".join(MAP_RULES)}.')


def class_coefficients(scores: Tensor, gamma: Tensor) -> Tensor:
    """The coefficient of each class: gamma(k) for the class t_k of rank k (Eq. 2, 3).

    Args:
        scores (Tensor): Class scores S, shape (B, n); only their order matters.
        gamma (Tensor): Rank weights, shape (n, ).

    Returns:
        Tensor: Shape (B, n), with the dtype of ``gamma``.
    """
    gamma = gamma.to(scores.device).expand(scores.shape[0], -1)
    return torch.zeros_like(gamma).scatter(1, rank_classes(scores), gamma)
