"""How the contributions to a context pool travel between the ranks."""
import torch
from mmengine import dist
from torch import Tensor

EXCHANGES = ('auto', 'gather', 'dense')


def exchange_contributions(classes: Tensor,
                           maps: Tensor,
                           num_classes: int,
                           how: str = 'auto') -> tuple[Tensor, Tensor]:
    """The contributions of all ranks, the same on every rank; any rank may bring any number.

    Args:
        classes (Tensor): This rank's class indices, shape (k, ); n marks what does not count.
        maps (Tensor): This rank's maps, shape (k, h, w).
        num_classes (int): n.
        how (str): 'gather' sends maps as they are, which does not grow with n; 'dense' sends
            their sums by class; 'auto' the one with fewer bytes. Defaults to 'auto'.

    Returns:
        tuple[Tensor, Tensor]: Classes (K, ) and maps (K, h, w), to be summed by class.
    """
    if dist.get_world_size() == 1:
        return classes, maps
    counts = torch.cat(dist.all_gather(classes.new_tensor([len(classes)]))).tolist()
    if not any(counts):
        return classes, maps
    rows = len(counts) * max(counts)
    if how == 'dense' or how == 'auto' and dense_is_smaller(rows, num_classes, maps[0].numel()):
        return sum_densely(classes, maps, num_classes)
    return gather_contributions(classes, maps, counts)


def dense_is_smaller(rows: int, num_classes: int, positions: int) -> bool:
    """Whether sums by class are fewer bytes than maps.

    Of k ranks, each sends (k - 1) / k of what is gathered, and twice that of what is summed:
    once to sum it and once to hand out the sums.

    Args:
        rows (int): Maps gathered, padding included.
        num_classes (int): n.
        positions (int): h * w.
    """
    return 2 * num_classes * (4 + 4 * positions) < rows * (8 + 4 * positions)


def gather_contributions(classes: Tensor, maps: Tensor,
                         counts: list[int]) -> tuple[Tensor, Tensor]:
    """Join the contributions of all ranks, in rank order; ``counts`` is how many each brings."""
    missing = max(counts) - len(classes)
    classes = dist.all_gather(torch.cat([classes, classes.new_zeros(missing)]))
    maps = dist.all_gather(torch.cat([maps, maps.new_zeros(missing, *maps.shape[1:])]))
    return (torch.cat([c[:n] for c, n in zip(classes, counts, strict=True)]),
            torch.cat([m[:n] for m, n in zip(maps, counts, strict=True)]))


def sum_densely(classes: Tensor, maps: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Sum the contributions of all ranks by class: one row a class, n where nothing came."""
    rows = torch.cat([maps.new_ones(len(maps), 1), maps.flatten(1)], dim=1)
    sums = maps.new_zeros(num_classes + 1, rows.shape[1])
    sums = sums.index_put((classes, ), rows, accumulate=True)[:-1].contiguous()
    dist.all_reduce(sums)
    present = torch.arange(num_classes, device=classes.device)
    return (torch.where(sums[:, 0] > 0, present, num_classes),
            sums[:, 1:].unflatten(1, maps.shape[1:]))
