"""Finding and reading images of any format, rotated upright."""
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from cicam_mm.datasets.data_file import read_bytes
from cicam_mm.datasets.reduced_decoding import MAX_PIXELS, open_image, reduction
from cicam_mm.errors import UserError

from .file_search import files_below, files_matching


def find_images(paths: Iterable[str | Path]) -> list[str]:
    """Expand folders and globs.

    Args:
        paths (Iterable[str | Path]): Files, addresses, folders (with all files in them and their
            subfolders, except hidden ones) and globs, in which ``**`` matches any number of
            folders.

    Returns:
        list[str]: Files, in the given order, sorted within a folder or glob. Paths that do not
        exist stay in the list, so that reading them reports the error.
    """
    return [file for path in paths for file in _expand(str(path))]


def _expand(path):
    if '://' in path:
        return [path]
    if Path(path).is_dir():
        return [*files_below(path)] or [path]
    return [path] if Path(path).exists() else files_matching(path) or [path]


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
