"""Decoding very large JPEGs at a fraction of their size, so that they fit into memory."""
import io
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from cicam_mm.errors import UserError

#: Most pixels of a decoded image, unless an option says otherwise; as in Pillow.
MAX_PIXELS = Image.MAX_IMAGE_PIXELS

REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def open_image(file: str | BinaryIO) -> Image.Image:
    """Read the header of an image of any size; no pixels are read."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # which opening checks
    try:
        return Image.open(file)
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Raise a UserError for an image with too many pixels."""
    if width * height > max_pixels:
        raise UserError(f'it has {width:,} x {height:,} pixels, more than max_pixels='
                        f'{max_pixels:,} allows; reduce it, or set the option of the transform '
                        'that loads it.')


def least_reduction(width: int, height: int, max_pixels: int) -> int | None:
    """The smallest divisor of the sides with which a JPEG has at most ``max_pixels``.

    Returns:
        int | None: 1, 2, 4 or 8; None if it has too many pixels even so.
    """
    return next((factor for factor in REDUCED if height * width / factor**2 <= max_pixels), None)


def reduction(image: Image.Image, max_pixels: int) -> int:
    """By how much the sides of an image are to be divided as it is decoded: 1, 2, 4 or 8.

    Args:
        image (Image.Image): From :func:`open_image`. Only JPEGs can be reduced.
        max_pixels (int): Most pixels of the decoded image.

    Raises:
        UserError: If it has too many pixels even so.
    """
    if image.format in ('JPEG', 'MPO') and (factor := least_reduction(*image.size, max_pixels)):
        return factor
    check_pixels(*image.size, max_pixels)
    return 1


def decode_reduced(content: bytes, max_pixels: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Decodes an image; a JPEG with too many pixels at 1/2, 1/4 or 1/8 of its size.

    Args:
        content (bytes): The content of the file.
        max_pixels (int): Maximum number of pixels of the decoded image.

    Returns:
        tuple: Pixels (h, w, 3) uint8, BGR, as stored (no EXIF rotation), and (H, W) of the image
        at full size.

    Raises:
        UserError: If it still has too many pixels.
        ValueError: If it is not an image, or a damaged one.
    """
    with open_image(io.BytesIO(content)) as image:
        flags = REDUCED[reduction(image, max_pixels)] | cv2.IMREAD_IGNORE_ORIENTATION
        ori_shape = image.size[::-1]
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if pixels is None:
        raise UserError('the pixels cannot be decoded')
    return pixels, ori_shape
