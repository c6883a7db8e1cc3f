"""The checksums in checkpoints, which torch writes but does not check."""
import zipfile
from pathlib import Path

from .errors import UserError
from .files import check_regular


def has_checksums(path: str | Path) -> bool:
    """Whether a checkpoint is an archive; those of torch before 1.6 are none."""
    with open(path, 'rb') as file:
        return file.read(4) == b'PK\3\4'


def find_damage(path: str | Path) -> str | None:
    """What is wrong with a checkpoint file, or None if it is intact.

    It compares the checksums in the file, which torch writes but does not check.
    """
    try:
        check_regular(path)
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except zipfile.BadZipFile:
        return 'it is truncated, damaged, or not a checkpoint'
    except UserError:
        return 'it is not a regular file'
    except Exception as error:  # damaged archives can raise anything
        return f'it cannot be read ({error})'
    return broken and f'its part {broken} is damaged'
