"""Decoding of images."""
import io
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import read_bytes

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


def read_image(path: str | Path,
               max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, tuple[int, int]]:
    """Read an image as people see it, see :func:`decode_image`.

    Args:
        path (str | Path): File or address.
        max_pixels (int): Most pixels of the decoded image. Defaults to 89,478,485, as in Pillow.

    Returns:
        tuple: As of :func:`decode_image`.

    Raises:
        OSError: If the file does not exist or cannot be read; the message names it.
    """
    return decode_image(lambda: read_bytes(path), str(path), max_pixels)


def decode_image(read: Callable[[], bytes],
                 name: str,
                 max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode an image as people see it.

    It is turned by its EXIF tag; of an animation the first frame counts; transparency turns
    white; 16 bits become 8; CMYK, grey and palettes become RGB. Other images come out exactly as
    :class:`LoadWSOLImage` loads them; a JPEG with too many pixels, too, is decoded at 1/2, 1/4 or
    1/8 of its size.

    Args:
        read (Callable): Gives the bytes of the file.
        name (str): What messages call it.
        max_pixels (int): Most pixels of the decoded image. Defaults to 89,478,485, as in Pillow.

    Returns:
        tuple: Pixels, RGB, uint8, (h, w, 3), and (H, W) of the whole image.

    Raises:
        OSError: If it cannot be read or is too large to be an image; the message names it.
    """
    try:
        with open_image(BytesIO(read())) as image:
            width, height = image.size
            if (factor := reduction(image, max_pixels)) > 1:
                image.draft(None, (max(1, width // factor), max(1, height // factor)))
            pixels = np.array(_to_rgb(ImageOps.exif_transpose(image)))
            if factor == 1:
                return pixels, pixels.shape[:2]
            is_turned = image.getexif().get(ExifTags.Base.Orientation) in range(5, 9)
            return pixels, (width, height) if is_turned else (height, width)
    except FileNotFoundError:
        raise FileNotFoundError(f'{name!r} does not exist; check the path.') from None
    except IsADirectoryError:
        raise IsADirectoryError(
            f'{name!r} is a folder without files, or without read permission.') from None
    except Exception as error:  # decoders can raise anything
        reason = 'not an image, or of an unknown format'
        if not isinstance(error, Image.UnidentifiedImageError):
            reason = str(error).rstrip('.') or type(error).__name__
        raise OSError(f'{name!r} cannot be read: {reason}; replace it or leave it out.'
                      ) from error


def _to_rgb(image):
    if image.mode[0] in 'IF':  # 16 or 32 bits of grey
        return Image.fromarray(_eight_bits(np.asarray(image))).convert('RGB')
    if image.has_transparency_data:
        image = image.convert('RGBA')
        return Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image).convert('RGB')
    return image.convert('RGB')


def _eight_bits(grey):
    """Convert grey values of 16 bits, or floats up to 1 or up to 255, to 8 bits."""
    low, high = grey.min(), grey.max()
    is_integer = np.issubdtype(grey.dtype, np.integer)
    if not 0 <= low <= high <= (65535 if is_integer else 255):  # false for NaN, too
        raise UserError(f'its grey values, {low:g} to {high:g}, are neither 8 nor 16 bits')
    if is_integer:
        return (grey >> 8).astype(np.uint8)
    return np.rint(grey * 255 if high <= 1 else grey).astype(np.uint8)
