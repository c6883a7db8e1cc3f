"""The one decoder of image files, for training, testing, inference, the app and export."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image

from cicam_lite.decoding import (
    MAX_PIXELS,
    PHOTOMETRIC,
    Picture,
    Unsupported,
    decode,
    eight_bits,
    on_white,
    upright,
)
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import read_bytes

with suppress(ImportError):  # the extra heic
    from pillow_heif import register_heif_opener

    register_heif_opener()

#: Of the images of class folders.
EXTENSIONS = tuple(extension for extension in (
    '.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.bmp', '.ppm', '.pgm', '.tif', '.tiff', '.gif',
    '.webp', '.avif', '.heic', '.heif') if extension in Image.registered_extensions())


def open_with_pillow(content: bytes, max_pixels: int) -> Image.Image:
    """Open an image, reading only its header; a UserError if it has too many pixels."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # which opening checks
    try:
        image = Image.open(BytesIO(content))
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    _check_pixels(*image.size, max_pixels)
    return image


def _check_pixels(width, height, max_pixels):
    if width * height > max_pixels:
        raise UserError(f'it has {width:,} x {height:,} pixels, more than max_pixels='
                        f'{max_pixels:,} allows; reduce it, or set the option of the transform '
                        'that loads it.')


def decode_stored(content: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode an image of any format that OpenCV or Pillow reads; the pixels stay as stored.

    JPEG, PNG, WebP, BMP and most TIFFs are decoded by :func:`cicam_lite.decoding.decode`, which
    says what becomes of transparency, 16 bits and the like. Pillow decodes the others by the same
    rules, and grey TIFFs of 32 bits: whole numbers have 16 bits, fractions go to 1 or to 255. The
    first frame of an animation counts. Colour profiles are ignored.

    Args:
        max_pixels (int): Most pixels of the decoded image. A larger JPEG is decoded at 1/2, 1/4
            or 1/8 of its size. Defaults to 89,478,485, as in Pillow.

    Raises:
        UserError: If it has too many pixels, or colours without a rule.
        Exception: If it is damaged, cut off or not an image; decoders raise anything.
    """
    if b'ftyp' == content[4:8] and b'heic' in content[8:64] and '.heic' not in EXTENSIONS:
        raise UserError("HEIC photos need the extra heic: pip install 'cicam_mm[heic]'")
    if not content.startswith(b'\xff\xd8\xff'):
        open_with_pillow(content, max_pixels)
    try:
        picture = decode(content, max_pixels)
    except Unsupported:
        picture = _decode_by_pillow(content, max_pixels)
    _check_pixels(*picture.pixels.shape[1::-1], max_pixels)
    return picture


@contextmanager
def naming_the_file(name: str) -> Iterator[None]:
    """Turn what reading and decoding an image raises into an ``OSError`` that names the file."""
    try:
        yield
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


def read_image(path: str | Path,
               max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, tuple[int, int]]:
    """Read a file or an address, see :func:`decode_image`."""
    return decode_image(lambda: read_bytes(path), str(path), max_pixels)


def decode_image(read: Callable[[], bytes],
                 name: str,
                 max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode an image as :func:`decode_stored` does, and turn it upright by its EXIF tag.

    Args:
        read (Callable): Gives the bytes of the file.
        name (str): What messages call it.

    Returns:
        tuple: Pixels, RGB, uint8, (h, w, 3), and (H, W) of the whole image.

    Raises:
        OSError: If it cannot be read or is too large; the message names it.
    """
    with naming_the_file(name):
        pixels, shape, _ = upright(decode_stored(read(), max_pixels))
        return np.ascontiguousarray(pixels[..., ::-1]), shape


def _decode_by_pillow(content, max_pixels):
    with open_with_pillow(content, max_pixels) as image:
        if image.mode == 'LAB':
            raise UserError('its colours are CIELAB, which are not converted; save it as RGB')
        image.load()  # turns a TIFF upright
        if image.mode[0] in 'IF':  # grey of 16 or 32 bits
            grey = _eight_bits(np.asarray(image))
            if getattr(image, 'tag_v2', {}).get(PHOTOMETRIC) == 0:  # 0 is white
                grey = ~grey
            pixels = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
        elif image.has_transparency_data:
            pixels = on_white(np.asarray(image.convert('RGBA'))[..., [2, 1, 0, 3]])
        else:
            pixels = np.ascontiguousarray(np.asarray(image.convert('RGB'))[..., ::-1])
        tag = image.getexif().get(ExifTags.Base.Orientation, 1)
    return Picture(pixels, pixels.shape[:2], tag if tag in range(1, 9) else 1)


def _eight_bits(grey):
    """Convert whole numbers of 16 bits, or floats up to 1 or up to 255, to 8 bits."""
    low, high = grey.min(), grey.max()
    is_integer = np.issubdtype(grey.dtype, np.integer)
    if not 0 <= low <= high <= (65535 if is_integer else 255):  # false for NaN, too
        raise UserError(f'its grey values, {low:g} to {high:g}, are neither 8 nor 16 bits')
    if is_integer:
        return eight_bits(grey)
    return np.rint(grey * 255 if high <= 1 else grey).astype(np.uint8)
