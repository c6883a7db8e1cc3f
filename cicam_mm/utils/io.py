"""Reading files within bounds, writing them atomically, and locking folders."""
import fcntl
import json
import logging
import os
import re
import secrets
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from mmengine.fileio import BaseStorageBackend, LocalBackend, get_file_backend, register_backend
from mmengine.logging import print_log

from .errors import UserError

#: Bytes of a file that is read as a whole, and seconds in which an address has to send all of it.
MAX_READ, MAX_SECONDS = 2**30, 300


@contextmanager
def open_atomically(path: str | Path, mode: str = 'w', sync: bool = False,
                    **options) -> Iterator[IO]:
    """Open a file that gets its name only when the block ends without an error.

    Until then it has a name of its own in the same folder, which begins with a dot and ends in
    .part. If writing fails, it is removed, and an existing file of that name is left unchanged. A
    link of that name is replaced, not followed; devices and pipes are written directly. Missing
    folders are created. With ``sync``, either the old or the new file is there even after a crash
    of the machine.
    """
    path = Path(path)
    if 'b' not in mode:
        options.setdefault('encoding', 'utf-8')
    if path.parent in (Path('/dev'), Path('/dev/fd')) or (
            path.exists() and not path.is_file() and not path.is_dir()):
        with open(path, mode, **options) as file:
            yield file
        return
    stem = os.fsdecode(os.fsencode(path.name)[:200])  # no name exceeds 255 bytes
    part = path.with_name(f'.{stem}.{secrets.token_hex(4)}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, mode.replace('w', 'x'), **options) as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError) and error.strerror and (
                'was not written' not in error.strerror):  # as of another file
            raise OSError(error.errno, f'{path} was not written: {error.strerror}') from error
        raise


def remove_leftovers(folder: str | Path) -> None:
    """Remove what :func:`open_atomically` could not because its process was killed."""
    for path in Path(folder).glob('.*.part'):
        if re.fullmatch(r'\..+\.[0-9a-f]{8}\.part', path.name):
            path.unlink(missing_ok=True)


def write_atomically(path: str | Path, content: str | bytes, sync: bool = False) -> None:
    """Write a whole file; see :func:`open_atomically`."""
    with open_atomically(path, 'w' if isinstance(content, str) else 'wb', sync) as file:
        file.write(content)


def lock_folder(path: Path, in_use: str) -> IO:
    """Lock a folder by a file in it, which names this process, until the file is closed.

    The operating system closes it when the process ends. Where the file system has no locks there
    is only a warning.

    Raises:
        UserError: If another process holds the lock; the message begins with ``in_use``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, 'a+', encoding='utf-8')
    file.seek(0)
    try:
        # a POSIX lock rather than a BSD one, because forked processes do not inherit it
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise UserError(f'{in_use}, {file.read()}; wait for it, end it, or choose another folder.'
                        ) from None
    except OSError:
        print_log(f'A second run in {path.parent} would not be noticed, because its file system '
                  'has no locks.', 'current', logging.WARNING)
    file.truncate(0)
    file.write(f'process {os.getpid()} of user {os.getuid()} on {socket.gethostname()} since '
               f'{datetime.now():%Y-%m-%d %H:%M:%S}')
    file.flush()
    return file


def check_writable(path: str | Path, is_folder: bool = False) -> None:
    """Check that a result can be written, before the work starts; leaves nothing behind."""
    path = Path(path)
    try:
        if path.is_dir() and not is_folder:
            raise UserError(f'{path} is a folder; name a file in it')
        if path.is_file() and is_folder:
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
    """Refuse devices and pipes, which could be read forever, folders, and too large files."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f'{path} is not a regular file but a folder, pipe or device')
    if limit is not None and status.st_size > limit:
        raise UserError(f'{path} has {status.st_size:,} bytes, but such a file may have at most '
                        f'{limit:,}')


def read_bytes(path: str | Path, limit: int = MAX_READ, backend_args: dict | None = None) -> bytes:
    """Read a file, or what is at an address, as a whole; a UserError if a bound is exceeded."""
    if str(path).startswith(('http://', 'https://')) and not backend_args:
        return b''.join(read_address(str(path), limit, MAX_SECONDS))
    if '://' not in str(path) and Path(path).exists() and not Path(path).is_dir():
        check_regular(path, limit)
    return backend_of(path, backend_args).get(path)


def read_address(address: str, limit: int, seconds: float) -> Iterator[bytes]:
    """The content of an http address, in parts; a UserError if a bound is exceeded."""
    size, deadline = 0, time.monotonic() + seconds
    request = Request(address, headers={'User-Agent': 'cicam_mm'})
    try:
        with urlopen(request, timeout=30) as response:
            while part := response.read1(2**20):
                size += len(part)
                if size > limit:
                    raise UserError(f'{address} has more than {limit:,} bytes, the most that such '
                                    'a file may have')
                if time.monotonic() > deadline:
                    raise UserError(f'{address} was not read within {seconds:g} s; download it by '
                                    'other means')
                yield part
            if response.length:
                raise OSError(f'{address} ended {response.length:,} bytes early')
    except URLError as error:
        reason = error if isinstance(error, HTTPError) else error.reason
        raise OSError(f'{address} cannot be read: {reason}') from error


def backend_of(path: str | Path, backend_args: dict | None = None) -> BaseStorageBackend:
    """mmengine's backend for a path or address; a UserError if there is none."""
    try:
        return get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    except ImportError as error:
        raise UserError(f'{str(path)!r} needs a package: {error}') from error
    except KeyError as error:
        raise UserError(f'{str(path)!r} is an address of a kind that mmengine has no file backend '
                        f'for, {error.args[0]}://; download it, or register a backend.') from error


def read_text(path: str | Path, limit: int = MAX_READ) -> str:
    """Read a file of UTF-8 text as a whole, see :func:`read_bytes`."""
    try:
        text = read_bytes(path, limit).decode('utf-8-sig').replace('\r\n', '\n')
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text ({error.reason} at byte {error.start})'
                        ) from None
    if '\0' in text:  # a crash of the machine can leave them
        raise UserError(f'{path} is damaged: it contains zero bytes')
    return text


def to_json(content: Any, **options) -> str:
    """JSON text; a UserError if a number is not finite."""
    try:
        return json.dumps(content, allow_nan=False, **options)
    except ValueError:
        raise UserError('a number is not finite, so nothing was written; check the weights and '
                        'images that it comes from.') from None


def read_json_mapping(path: str | Path) -> dict:
    """The mapping in a JSON file, in which all numbers must be finite."""
    text = read_text(path)
    try:
        content = json.loads(text, parse_constant=_refuse)
        if not isinstance(content, dict):
            raise UserError('it holds no mapping')
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path} is damaged ({error}); create it again.') from None
    return content


def _refuse(name):
    raise UserError(f'{name} is not a number')


def spreadsheet_cell(value):
    """Escape a CSV cell that a spreadsheet would take for a formula, which can run commands.

    Texts that begin with = + - @ or a control character get a leading apostrophe unless they are
    numbers; other values are returned unchanged.
    """
    if not isinstance(value, str) or not value.startswith(('=', '+', '-', '@', '\t', '\r', '\n')):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def spreadsheet_text(cell: str) -> str:
    """The text that :func:`spreadsheet_cell` turned into a cell."""
    return cell[1:] if cell[:1] == "'" and spreadsheet_cell(cell[1:]) == cell else cell


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """Writes local files atomically: ``CheckpointHook(backend_args=dict(backend='atomic'))``."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        write_atomically(filepath, obj, sync=True)
