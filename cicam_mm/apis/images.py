"""Finding and reading the images people have: any format, turned upright."""
from collections.abc import Iterable
from glob import glob
from io import BytesIO
from pathlib import Path

import numpy as np
from mmengine.fileio import get
from PIL import Image, ImageOps


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
    if Path(path).is_dir():
        found = glob('**', root_dir=path, recursive=True)
        files = (str(Path(path, name)) for name in found)
    elif Path(path).exists():
        return [path]
    else:
        files = glob(path, recursive=True)
    return sorted(file for file in files if Path(file).is_file()) or [path]


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as people see it.

    It is turned by its EXIF tag; of an animation the first frame counts; transparency turns
    white; 16 bits become 8; CMYK, grey and palettes become RGB. Other images come out exactly as
    :class:`LoadWSOLImage` loads them.

    Args:
        path (str | Path): File or address.

    Returns:
        np.ndarray: RGB, uint8, shape (H, W, 3).

    Raises:
        OSError: If there is no such file or it cannot be read; the message names it.
    """
    try:
        with Image.open(BytesIO(get(path))) as image:
            return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except FileNotFoundError:
        raise FileNotFoundError(f"'{path}' does not exist; check the path.") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"'{path}' is a folder without files in it.") from None
    except Exception as error:  # decoders raise whatever comes to hand
        reason = 'no image, or of an unknown format'
        if not isinstance(error, Image.UnidentifiedImageError):
            reason = str(error).rstrip('.') or type(error).__name__
        raise OSError(f"'{path}' cannot be read: {reason}; replace it or leave it out."
                      ) from error


def _to_rgb(image):
    if image.mode.startswith('I'):  # 16 bits of grey
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert('RGB')
    if image.has_transparency_data:
        image = image.convert('RGBA')
        return Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image).convert('RGB')
    return image.convert('RGB')
