"""A tree over the classes, such as order, family and species, read level by level."""
from collections.abc import Mapping

import torch
from torch import Tensor

from cicam_mm.errors import UserError


def group_levels(tree: Mapping, num_classes: int) -> list[Tensor]:
    """The group of each class at each level of a tree, from the root down.

    Args:
        tree (Mapping): Nested by name, class indices at the leaves, all at the same depth:
            ``dict(vehicles=dict(cars=[0, 3], ships=[1]), animals=dict(birds=[2]))`` has two
            levels over four classes.
        num_classes (int): n.

    Returns:
        list[Tensor]: For each level, the group of each class, shape (n, ), int64. Groups are
        numbered by their smallest class, so the order in which the tree is written does not
        matter.

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
