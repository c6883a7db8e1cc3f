"""The bytes of a file of a data set, on this machine or at an address, within bounds."""
from pathlib import Path

from mmengine.fileio import BaseStorageBackend, get_file_backend

from cicam_mm.errors import UserError
from cicam_mm.files import MAX_READ, check_regular


def read_bytes(path: str | Path, limit: int = MAX_READ, backend_args: dict | None = None) -> bytes:
    """Read a file as a whole.

    Args:
        path (str | Path): File or address; the size of what is at an address is not known before.
        limit (int): Most bytes that a file may have. Defaults to 1 GiB.
        backend_args (dict, optional): Of mmengine's backend. Defaults to None.

    Raises:
        OSError: If it cannot be read.
        UserError: If it is larger, a device or a pipe.
    """
    check_if_local(path, limit)
    return backend_of(path, backend_args).get(path)


def backend_of(path: str | Path, backend_args: dict | None = None) -> BaseStorageBackend:
    """mmengine's backend for a path or address.

    Raises:
        UserError: If there is none, or it needs a package that is not installed.
    """
    try:
        return get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    except ImportError as error:
        raise UserError(f'{str(path)!r} needs a package: {error}') from error
    except KeyError as error:
        raise UserError(f'{str(path)!r} is an address of a kind that mmengine has no file backend '
                        f'for, {error.args[0]}://; download it, or register a backend.') from error


def check_if_local(path: str | Path, limit: int = MAX_READ) -> bool:
    """Check a file on this machine, see :func:`check_regular`; False if there is none.

    An address is no such file, and neither is a folder.
    """
    local = Path(path)
    if '://' in str(path) or not local.exists() or local.is_dir():
        return False
    check_regular(local, limit)
    return True
