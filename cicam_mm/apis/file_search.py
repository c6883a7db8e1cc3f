"""Searching files in folders and by globs, in a reproducible order."""
import os
import re
from collections.abc import Iterator
from glob import escape, glob
from pathlib import Path


def files_below(folder: str) -> Iterator[str]:
    """Files in a folder and its subfolders, in the order of their paths.

    Links are followed unless they lead to a folder above them. Hidden files and folders are left
    out.

    Args:
        folder (str): Path of the folder.

    Yields:
        str: The path of a file, or of a folder without read permission, so that reading it
        reports the error.
    """
    return (path for path, is_folder in _walk(folder, _ids_above(folder)) if not is_folder)


def files_matching(pattern: str) -> list[str]:
    """Files that match a glob, sorted; ``**`` matches any number of folders."""
    if pattern == '**' or pattern.endswith('/**'):
        pattern += '/*'
    return sorted(path for path in _matches(pattern) if not os.path.isdir(path))


def _ids_above(folder):
    return [_id(path) for path in Path(folder).resolve().parents]


def _id(folder):
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _walk(folder, above):
    """Yield each path and whether it is a folder; a folder comes before its content."""
    try:
        here = _id(folder)
        if here in above:
            return
        with os.scandir(folder) as entries:
            # names of folders with their slash sort like whole paths
            found = sorted((entry.name + '/' * _is_folder(entry), entry.path)
                           for entry in entries if not entry.name.startswith('.'))
    except OSError:
        yield folder, False
        return
    yield folder, True
    for name, path in found:
        if name.endswith('/'):
            yield from _walk(path, (*above, here))
        else:
            yield path, False


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _matches(pattern):
    deep = re.search(r'(?:^|(?<=/))\*\*/+', pattern)
    if not deep:
        return set(glob(pattern))
    # the ** of glob would follow links to folders above
    head, tail = pattern[:deep.start()], pattern[deep.end():]
    folders = (folder for root in (glob(head) if head else ['.'])
               for folder, is_folder in _walk(root, _ids_above(root)) if is_folder)
    found = {path for folder in folders
             for path in _matches(os.path.join(escape(folder), tail))}
    return found if head else {path.removeprefix('./') for path in found}
