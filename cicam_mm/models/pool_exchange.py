"""Exchange of what each rank adds to the context pool."""
import torch
from mmengine import dist
from torch import Tensor


def gather_contributions(classes: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """The contributions of all ranks in rank order, the same on every rank.

    The maps themselves are exchanged, so the traffic does not grow with the number of classes.
    Ranks may contribute different numbers of maps: classes (k, ) and maps (k, h, w) become those
    of all ranks, (K, ) and (K, h, w), to be summed per class.
    """
    if dist.get_world_size() == 1:
        return classes, maps
    counts = torch.cat(dist.all_gather(classes.new_tensor([len(classes)]))).tolist()
    if not any(counts):
        return classes, maps
    missing = max(counts) - len(classes)
    classes = dist.all_gather(torch.cat([classes, classes.new_zeros(missing)]))
    maps = dist.all_gather(torch.cat([maps, maps.new_zeros(missing, *maps.shape[1:])]))
    return (torch.cat([c[:n] for c, n in zip(classes, counts, strict=True)]),
            torch.cat([m[:n] for m, n in zip(maps, counts, strict=True)]))
