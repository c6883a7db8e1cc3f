"""Decoding a JPEG at a fraction of its size, when it will be resized to less than that anyway."""
import io

import cv2
import numpy as np
from PIL import Image

REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}


def decode_reduced(content: bytes, min_side: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode an image; a JPEG at 1/2, 1/4 or 1/8 of its size if the short side stays long enough.

    Args:
        content (bytes): The file.
        min_side (int): Least short side of the decoded image, in pixels, unless the image itself
            is smaller.

    Returns:
        tuple: Pixels (h, w, 3) uint8, BGR, in the frame they are stored in (no EXIF rotation), and
        (H, W) of the whole image.

    Raises:
        ValueError: If this is no image, or a damaged one.
    """
    with Image.open(io.BytesIO(content)) as header:  # reads no pixels
        width, height = header.size
        factors = REDUCED if header.format == 'JPEG' else [1]
    factor = next((f for f in factors if min(height, width) // f >= min_side), 1)
    flags = REDUCED[factor] | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if pixels is None:
        raise ValueError('the pixels cannot be decoded')
    return pixels, (height, width)
