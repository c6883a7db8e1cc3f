"""One training at a time in a work directory."""
import fcntl
import getpass
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mmengine.logging import print_log

from cicam_mm.errors import UserError

LOCK = '.training.lock'


@contextmanager
def lock_work_dir(work_dir: str | Path, rank: int = 0) -> Iterator[None]:
    """Lock a work directory, because two trainings in it would overwrite each other's files.

    The operating system releases the lock when its process ends, however it ends, so there is no
    need to remove locks by hand; one left by a process that died is taken over with a warning. The
    file ``.training.lock`` names the owner. Network file systems also lock between machines,
    unless they are mounted without locking.

    Args:
        work_dir (str | Path): Created if missing.
        rank (int): Rank of this process; only rank 0 holds the lock. Defaults to 0.

    Raises:
        UserError: If another training holds the lock; the message names process, user and host.
    """
    if rank != 0:
        yield
        return
    path = Path(work_dir) / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'a+', encoding='utf-8', errors='replace') as file:
        is_held = _is_held_by_another(file)
        file.seek(0)
        owner = _describe(file.read(1000))
        if is_held:
            raise UserError(f'{work_dir} is in use by another training, {owner}; wait for it, end '
                            'it, or use another work directory.')
        if owner:
            print_log(f'Taking over the lock of {work_dir} that was left behind by {owner}.',
                      'current', logging.WARNING)
        file.truncate(0)
        json.dump(dict(user=_user(), host=socket.gethostname(), pid=os.getpid(),
                       since=datetime.now().isoformat(' ', 'seconds')), file)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _is_held_by_another(file):
    try:
        # a POSIX lock rather than a BSD one, because forked processes do not inherit it
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError as error:
        print_log(f'{file.name} cannot be locked ({error.strerror}), so a second training in this '
                  'work directory would not be noticed.', 'current', logging.WARNING)
    return False


def _user():
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in containers the user may have no name
        return f'user {os.getuid()}'


def _describe(text):
    """The owner named in the text of a lock, '' if the lock was released."""
    try:
        owner = json.loads(text) if text else {}
        return owner and (f'process {owner["pid"]} of {owner["user"]} on {owner["host"]} since '
                          f'{owner["since"]}')
    except (ValueError, KeyError, TypeError):
        return 'an unknown process'
