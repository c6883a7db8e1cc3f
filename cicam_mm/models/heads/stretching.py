from torch import Tensor


def stretch(maps: Tensor) -> Tensor:
    """Maps (B, k, h, w), each from its minimum at 0 to its maximum at 1, at least float32.

    A constant map is NaN, which neither reaches nor falls below any threshold.
    """
    maps = maps if maps.dtype.itemsize > 2 else maps.float()
    lowest, highest = maps.amin(dim=(2, 3), keepdim=True), maps.amax(dim=(2, 3), keepdim=True)
    return (maps - lowest) / (highest - lowest)
