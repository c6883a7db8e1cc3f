"""Decoding very large JPEGs at a fraction of their size, so that they fit the memory."""
import io
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from cicam_mm.errors import UserError

REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def read_header(file: str | BinaryIO) -> tuple[int, int, str]:
    """Width, height and format of an image of any size; no pixels are read."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # which opening checks
    try:
        with Image.open(file) as header:
            return *header.size, header.format
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def decode_reduced(content: bytes, max_pixels: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode an image; a JPEG at 1/2, 1/4 or 1/8 of its size where it has too many pixels.

    Args:
        content (bytes): The file.
        max_pixels (int): Most pixels of the decoded image.

    Returns:
        tuple: Pixels (h, w, 3) uint8, BGR, in the frame they are stored in (no EXIF rotation), and
        (H, W) of the whole image.

    Raises:
        UserError: If it has too many pixels even so.
        ValueError: If this is no image, or a damaged one.
    """
    width, height, format = read_header(io.BytesIO(content))
    factors = REDUCED if format == 'JPEG' else [1]
    factor = next((f for f in factors if height * width / f**2 <= max_pixels), None)
    if factor is None:
        raise UserError(f'it has {width:,} x {height:,} pixels, more than max_pixels='
                        f'{max_pixels:,} of LoadWSOLImage; reduce it, or set the option.')
    flags = REDUCED[factor] | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if pixels is None:
        raise UserError('the pixels cannot be decoded')
    return pixels, (height, width)
