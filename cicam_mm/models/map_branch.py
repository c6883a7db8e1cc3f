"""What heads that end in activation maps share."""
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


def map_branch(in_channels: int, hidden_channels: int, num_maps: int) -> nn.Sequential:
    """Two 3x3 convolutions with ReLU and a 1x1 convolution whose outputs are activation maps.

    The mean of such a map is a class score, so the maps need no classifier weights. ACoL, BAS,
    DANet and SPG use such branches.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden_channels, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(hidden_channels, hidden_channels, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(hidden_channels, num_maps, 1))


def stretch(maps: Tensor) -> Tensor:
    """Normalize each of the maps (B, k, h, w) to [0, 1], in float32 or better.

    A constant map becomes NaN, which is neither above nor below any threshold.
    """
    maps = maps if maps.dtype.itemsize > 2 else maps.float()
    lowest, highest = maps.amin(dim=(2, 3), keepdim=True), maps.amax(dim=(2, 3), keepdim=True)
    return (maps - lowest) / (highest - lowest)


def upsample(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear resizing of maps (B, k, h, w) to (B, k, *size), half-pixel centres."""
    return F.interpolate(maps, size=tuple(size[:2]), mode='bilinear', align_corners=False)
