"""Finding and reading the images people have: any format, turned upright."""
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
from mmengine.fileio import get
from PIL import Image, ImageOps

from cicam_mm.errors import UserError

from .file_search import files_below, files_matching


def find_images(paths: Iterable[str | Path]) -> list[str]:
    """Expand folders and globs.

    Args:
        paths (Iterable[str | Path]): Files, addresses, folders (all files in them and below, but
            for hidden ones) and globs, in which ``**`` stands for any number of folders.

    Returns:
        list[str]: Files, in the order given, sorted within a folder or glob. What does not exist
        stays in the list, so that reading it tells.
    """
    return [file for path in paths for file in _expand(str(path))]


def _expand(path):
    if '://' in path:
        return [path]
    if Path(path).is_dir():
        return [*files_below(path)] or [path]
    return [path] if Path(path).exists() else files_matching(path) or [path]


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as people see it, see :func:`decode_image`.

    Args:
        path (str | Path): File or address.

    Returns:
        np.ndarray: RGB, uint8, shape (H, W, 3).

    Raises:
        OSError: If there is no such file or it cannot be read; the message names it.
    """
    return decode_image(lambda: _read(path), str(path))


def decode_image(read: Callable[[], bytes], name: str) -> np.ndarray:
    """Decode an image as people see it.

    It is turned by its EXIF tag; of an animation the first frame counts; transparency turns
    white; 16 bits become 8; CMYK, grey and palettes become RGB. Other images come out exactly as
    :class:`LoadWSOLImage` loads them.

    Args:
        read (Callable): Gives the bytes of the file.
        name (str): What messages call it.

    Returns:
        np.ndarray: RGB, uint8, shape (H, W, 3).

    Raises:
        OSError: If it cannot be read or is too large to be an image; the message names it.
    """
    try:
        with Image.open(BytesIO(read())) as image:
            return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except FileNotFoundError:
        raise FileNotFoundError(f'{name!r} does not exist; check the path.') from None
    except IsADirectoryError:
        raise IsADirectoryError(
            f'{name!r} is a folder without files in it, or one that may not be read.') from None
    except Exception as error:  # decoders raise whatever comes to hand
        reason = 'no image, or of an unknown format'
        if not isinstance(error, Image.UnidentifiedImageError):
            reason = str(error).rstrip('.') or type(error).__name__
        raise OSError(f'{name!r} cannot be read: {reason}; replace it or leave it out.'
                      ) from error


def _read(path):
    local = '://' not in str(path) and Path(path)
    if local and local.exists() and not (local.is_file() or local.is_dir()):
        raise OSError('a pipe or device, no file')  # reading it might never end
    return get(path)


def _to_rgb(image):
    if image.mode[0] in 'IF':  # 16 or 32 bits of grey
        return Image.fromarray(_eight_bits(np.asarray(image))).convert('RGB')
    if image.has_transparency_data:
        image = image.convert('RGBA')
        return Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image).convert('RGB')
    return image.convert('RGB')


def _eight_bits(grey):
    """Grey values of 16 bits, or numbers from 0 to 1 or to 255, as 8 bits."""
    low, high = grey.min(), grey.max()
    is_integer = np.issubdtype(grey.dtype, np.integer)
    if not 0 <= low <= high <= (65535 if is_integer else 255):  # also where one is no number
        raise UserError(f'grey values from {low:g} to {high:g}, which are neither 8 nor 16 bits')
    if is_integer:
        return (grey >> 8).astype(np.uint8)
    return np.rint(grey * 255 if high <= 1 else grey).astype(np.uint8)
