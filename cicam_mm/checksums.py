"""The checksums in checkpoints, which torch writes but does not check."""
import zipfile
from pathlib import Path

from .files import check_regular

NO_CHECKPOINT = 'it is truncated, damaged, or not a checkpoint'


def has_checksums(path: str | Path) -> bool:
    """Whether a file is an archive, as torch has written checkpoints since 1.6.

    Args:
        path (str | Path): Path of the file.

    Raises:
        FileNotFoundError: If the path does not exist.
        UserError: If it is not a regular file.
    """
    check_regular(path)
    with open(path, 'rb') as file:
        return file.read(4) == b'PK\3\4'


def find_damage(path: str | Path) -> str | None:
    """What the checksums in a file tell to be wrong with it; None if nothing, or without any.

    Args:
        path (str | Path): Path of the file.

    Raises:
        FileNotFoundError, UserError: See :func:`has_checksums`.
    """
    if not has_checksums(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except zipfile.BadZipFile:
        return NO_CHECKPOINT
    except Exception as error:  # damaged archives can raise anything
        return f'it cannot be read ({error})'
    return broken and f'its part {broken} is damaged'
