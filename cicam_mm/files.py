"""Atomic writing, and safe reading of files from elsewhere."""
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from .errors import UserError

#: Maximum size, in bytes, of a file that is read as a whole.
MAX_READ = 2**30


@contextmanager
def open_atomically(path: str | Path, mode: str = 'w', sync: bool = False,
                    **options) -> Iterator[IO]:
    """Open a file that gets its name only when the block ends without an error.

    Until then its name ends in .part. If writing fails, the partial file is removed and an
    existing file of that name is left unchanged. Devices and pipes are written directly.

    Args:
        path (str | Path): Path of the file; missing folders are created.
        mode (str): 'w' or 'wb'. Defaults to 'w', UTF-8 text.
        sync (bool): Flush the file to the disk before renaming it, so that after a crash of the
            machine either the old or the new file is there. Defaults to False.
        **options: Arguments of ``open``.

    Raises:
        OSError: If the file cannot be written; the message names it.
    """
    path = Path(path)
    if 'b' not in mode:
        options.setdefault('encoding', 'utf-8')
    with _naming_the_file(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            with open(path, mode, **options) as file:
                yield file
            return
        path = path.resolve()  # keeps a link a link
        path.parent.mkdir(parents=True, exist_ok=True)
        stem = os.fsdecode(os.fsencode(path.name)[:250])  # no name exceeds 255 bytes
        part = path.with_name(f'{stem}.part')
        try:
            with open(part, mode, **options) as file:
                yield file
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def write_atomically(path: str | Path, content: str | bytes, sync: bool = False) -> None:
    """Write a whole file; see :func:`open_atomically`."""
    with open_atomically(path, 'w' if isinstance(content, str) else 'wb', sync) as file:
        file.write(content)


@contextmanager
def _naming_the_file(path):
    try:
        yield
    except OSError as error:
        if error.strerror is None:
            raise
        raise OSError(error.errno, f'{path} was not written: {error.strerror}') from error


def check_writable(path: str | Path, is_folder: bool = False) -> None:
    """Check that a result can be written, before the work starts; leaves nothing behind.

    Args:
        path (str | Path): The file or folder to write.
        is_folder (bool): Whether it is a folder. Defaults to False.

    Raises:
        UserError: If it cannot be written; the message names it.
    """
    path = Path(path)
    try:
        if path.is_dir() and not is_folder:
            raise UserError(f'{path} is a folder; name a file in it')
        if path.exists() and is_folder and not path.is_dir():
            raise UserError(f'{path} is a file; name a folder')
        if path.exists() and not path.is_file() and not is_folder:
            return  # a device or a pipe
        candidates = [path, *path.parents] if is_folder else path.parents
        folder = next(candidate for candidate in candidates if candidate.exists())
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f'{path} cannot be written: {error.strerror}') from None


def check_regular(path: str | Path, limit: int | None = None) -> None:
    """Refuse devices and pipes, which could be read forever, folders, and too large files.

    Args:
        path (str | Path): Path of the file.
        limit (int, optional): Maximum size in bytes. Defaults to None, no limit.

    Raises:
        FileNotFoundError: If the path does not exist.
        UserError: If it is not a regular file or a link to one, or is larger than the limit.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f'{path} is not a regular file but a folder, pipe or device')
    if limit is not None and status.st_size > limit:
        raise UserError(f'{path} has {status.st_size:,} bytes, but such a file may have at most '
                        f'{limit:,}')


def read_text(path: str | Path, limit: int = MAX_READ) -> str:
    """Read a regular file of UTF-8 text as a whole.

    Args:
        path (str | Path): Path of the file.
        limit (int): Maximum size in bytes. Defaults to 1 GiB.

    Raises:
        OSError: If it cannot be read.
        UserError: If it is larger, not text, or not a regular file; the message names it.
    """
    check_regular(path, limit)
    try:
        text = Path(path).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text ({error.reason} at byte {error.start})'
                        ) from None
    if '\0' in text:  # a crash of the machine can leave them
        raise UserError(f'{path} is damaged: it contains zero bytes')
    return text
