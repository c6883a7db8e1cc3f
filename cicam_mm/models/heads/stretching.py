from torch import Tensor


def stretch(maps: Tensor) -> Tensor:
    """Normalize each of the maps (B, k, h, w) to [0, 1], in float32 or better.

    A constant map becomes NaN, which is neither above nor below any threshold.
    """
    maps = maps if maps.dtype.itemsize > 2 else maps.float()
    lowest, highest = maps.amin(dim=(2, 3), keepdim=True), maps.amax(dim=(2, 3), keepdim=True)
    return (maps - lowest) / (highest - lowest)
