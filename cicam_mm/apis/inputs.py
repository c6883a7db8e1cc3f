"""From files, folders, globs, lists and archives to images."""
import csv
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from glob import escape, glob, has_magic
from itertools import count, filterfalse, groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from cicam_mm.datasets.images import MAX_PIXELS, decode_image, read_image
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import MAX_READ, backend_of, check_regular, spreadsheet_text


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


class Record(NamedTuple):
    """One image of the inputs: its location and, if known, its class.

    Attributes:
        path: File, address, or archive.
        label: The class whose box to predict; None for the predicted class.
        member: Name of the file in the archive.
        offset: First byte of the file in the archive.
        size: Size of the file in the archive, in bytes.
        problem: Why there is nothing to read, in one sentence.
    """
    path: str
    label: int | None = None
    member: str | None = None
    offset: int = 0
    size: int = 0
    problem: str | None = None

    @property
    def name(self) -> str:
        """Name of the image in the results: its path, or ``ARCHIVE/MEMBER``."""
        return self.path if self.member is None else f'{self.path}/{self.member}'

    def read(self, max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, tuple[int, int]]:
        """Read the image, see :func:`decode_image`.

        Raises:
            OSError: If it cannot be read; the message names it.
        """
        if self.problem:
            raise OSError(self.problem)
        if self.member is None:
            return read_image(self.path, max_pixels)
        return decode_image(self._read_member, self.name, max_pixels)

    def _read_member(self):
        if self.size > MAX_READ:
            raise UserError(f'it has {self.size:,} bytes')
        with open(self.path, 'rb') as archive:
            archive.seek(self.offset)
            return archive.read(self.size)


IMAGES = Image.registered_extensions()

#: Most bytes that are read of the name of a class.
MAX_CLASS = 2**12

#: Most zero bytes at the end of an archive: two blocks, padded to a record of any usual size.
MAX_PADDING = 2**20


def is_archive(path: str) -> bool:
    """Whether the extension of a path is that of a tar archive."""
    return path.lower().endswith(('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz'))


def list_archive(path: str, to_label: Callable[[str, str], int | None]) -> Iterator[Record]:
    """List the images of an archive in the WebDataset layout, in their order.

    Consecutive files whose names agree up to the first dot are one sample: its image (``.jpg``,
    ``.png``, ...) and optionally its class (``.cls``), a number or a name as text. Hidden files
    are left out. Only headers are read, so this is fast for large archives, too.

    Args:
        path (str): The archive, not compressed.
        to_label (Callable): Converts the text of a class, given with its location, to a label;
            raises a UserError for a text that is none.

    Yields:
        Record: An image; where there is something that cannot be used (a sample without an image
        or with a class that is none, a second image of a sample, a link, a damaged or empty
        archive), a record whose ``problem`` says so.
    """
    errors, is_empty = [], True
    try:
        check_regular(path)
        with tarfile.open(path, 'r:') as archive:
            for key, members in groupby(_members(archive, errors), key=_key):
                yield from _to_records(path, archive, key, [*members], to_label)
                is_empty = False
    except (tarfile.TarError, OSError, UserError) as error:
        errors.append(error)
    for error in errors:
        yield Record(path, problem=f'{path!r} cannot be read completely: {error}; an archive must '
                     'be one intact tar file without compression.')
    if is_empty and not errors:
        yield Record(path, problem=f'the archive {path!r} holds no file; check it.')


def _members(archive, errors):
    """All members except folders and hidden files."""
    try:
        for member in iter(archive.next, None):
            archive.members.clear()  # otherwise the archive keeps them all in memory
            if not member.isdir() and not member.name.rpartition('/')[2].startswith('.'):
                yield member
        _check_end(archive)
    except tarfile.TarError as error:  # samples before it are still used
        errors.append(error)


def _check_end(archive):
    """Tell the end of an archive, which is zeros, from damage, where tarfile stops as well."""
    archive.fileobj.seek(archive.offset)
    rest = archive.fileobj.read(MAX_PADDING + 1)
    if not rest or len(rest) > MAX_PADDING or rest.strip(b'\0'):
        raise tarfile.ReadError(f'after {archive.offset:,} bytes there is neither another file '
                                'nor the end of an archive')


def _key(member):
    folder, slash, name = member.name.rpartition('/')
    return folder + slash + name.partition('.')[0]


def _to_records(path, archive, key, members, to_label):
    """The image of a sample, and a problem for each further one."""
    kinds = [member.name.removeprefix(f'{key}.').lower() for member in members]
    images = [member for member, kind in zip(members, kinds, strict=True) if f'.{kind}' in IMAGES]
    classes = [member for member, kind in zip(members, kinds, strict=True) if kind == 'cls']
    if not images:
        yield Record(path, member=key, problem=f'{f"{path}/{key}"!r} holds no image, only '
                     f'{", ".join(member.name for member in members)}.')
        return
    yield _to_record(path, archive, images[0], classes, to_label)
    for image in images[1:]:
        yield Record(path, member=image.name, problem=f'{f"{path}/{image.name}"!r} is not the '
                     f'first image of its sample, which is {images[0].name!r}; give each a name '
                     'of its own up to the first dot.')


def _to_record(path, archive, image, classes, to_label):
    label = None
    try:
        for member in (image, *classes):
            _check_plain(path, member)
        if len(classes) > 1:
            raise UserError(f'{f"{path}/{image.name}"!r} has {len(classes)} classes; leave one.')
        for member in classes:
            text = archive.extractfile(member).read(MAX_CLASS).decode(errors='replace').strip()
            label = to_label(text, f'{path}/{member.name}')
    except UserError as error:
        return Record(path, member=image.name, problem=str(error))
    except tarfile.TarError as error:
        return Record(path, member=image.name, problem=f'the class of '
                      f'{f"{path}/{image.name}"!r} cannot be read: {error}.')
    return Record(path, label, image.name, image.offset_data, image.size)


def _check_plain(path, member):
    if not member.isreg() or member.issparse():
        kind = f'a link to {member.linkname!r}' if member.linkname else 'no plain file'
        raise UserError(f'{f"{path}/{member.name}"!r} is {kind}, which cannot be read; store the '
                        'file itself (tar --dereference --hard-dereference).')


#: Most characters of a line in a list.
MAX_LINE = 2**16


def list_inputs(paths: Sequence[str],
                num_classes: int,
                classes: Sequence[str] | None = None,
                use_labels: bool = True,
                leave_out: Callable[[str], bool] | None = None) -> Iterator[Record]:
    """List the images of files, folders, globs, lists, archives and addresses.

    ======================= =====================================================================
    folder                  all files in it and its subfolders, except hidden ones
    glob                    all files that match; ``**`` matches any number of folders
    ``.txt``                a path or address per line
    ``.csv``                the paths in its column ``file`` or ``path``; a column ``label``, a
                            number from 0 or a name, gives the class whose box to predict
    ``.tar``                images in the layout of WebDataset, see :func:`list_archive`
    address                 a file, or a folder if its mmengine backend can list folders
    ======================= =====================================================================

    Lists are recognized only if they are named directly, archives also inside folders. Paths in
    lists are relative to the working directory, like the given paths.

    Args:
        paths (Sequence[str]): The inputs.
        num_classes (int): Number of classes, to check labels.
        classes (Sequence[str], optional): Names of the classes, for labels. Defaults to None.
        use_labels (bool): Whether to read labels. Defaults to True.
        leave_out (Callable, optional): Tells of the path of a file that folders and globs leave
            it out. Defaults to None, no file.

    Yields:
        Record: An image, in the given order, sorted within a folder or glob. Paths that do not
        exist are included, so that reading them reports the error.

    Raises:
        UserError: If a folder or glob holds no file, or a list is malformed.
    """
    to_label = _label_reader(num_classes, classes or ()) if use_labels else _no_label
    for path in paths:
        yield from _list(str(path), to_label, leave_out or (lambda file: False))


def _list(path, to_label, leave_out):
    kind = os.path.splitext(path)[1].lower()
    if '://' in path:
        yield from _list_address(path)
    elif os.path.isdir(path):
        yield from _list_files(filterfalse(leave_out, files_below(path)), to_label,
                               f'the folder {path!r} holds no file')
    elif not os.path.lexists(path) and has_magic(path):
        yield from _list_files(filterfalse(leave_out, files_matching(path)), to_label,
                               f'no file matches {path!r}')
    elif kind == '.txt' and os.path.isfile(path):
        yield from _list_files(_paths(path), to_label, f'the list {path!r} is empty')
    elif kind == '.csv' and os.path.isfile(path):
        yield from _rows(path, to_label)
    else:
        yield from _list_files([path], to_label)


def _list_files(files, to_label, if_empty=None):
    path = None
    for path in files:
        yield from list_archive(path, to_label) if is_archive(path) else [Record(path)]
    if path is None:
        raise UserError(f'{if_empty}; check the path.')


def _list_address(path):
    backend = backend_of(path)
    if not (hasattr(backend, 'isdir') and backend.isdir(path)):
        if path.lower().endswith(('.txt', '.csv')) or is_archive(path):
            raise UserError(f'{path!r} is an address, but lists and archives must be local files; '
                            'download it.')
        yield Record(path)
        return
    files = sorted(backend.list_dir_or_file(path, list_dir=False, recursive=True))
    if not files:
        raise UserError(f'the folder {path!r} holds no file; check the address.')
    yield from (Record(backend.join_path(path, file)) for file in files)


def _lines(path, newline='\n'):
    with open(path, encoding='utf-8-sig', errors='surrogateescape', newline=newline) as file:
        for number, line in enumerate(iter(partial(file.readline, MAX_LINE), ''), 1):
            if len(line) == MAX_LINE:
                raise UserError(f'{path}, line {number}: it has {MAX_LINE:,} characters or more, '
                                'so this is no list of paths.')
            yield line


def _paths(path):
    return filter(None, (line.rstrip('\r\n') for line in _lines(path)))


def _rows(path, to_label):
    table = csv.DictReader(_lines(path, newline=''))
    try:
        column = next((name for name in table.fieldnames or () if name in ('file', 'path')), None)
        if column is None:
            raise UserError(f"{path}, line 1: there is no column 'file' or 'path'; name the "
                            'columns there.')
        place = None
        for row in table:
            place = f'{path}, line {table.line_num}'
            if not row[column]:
                raise UserError(f'{place}: the column {column!r} is empty; give a path.')
            label = to_label(row['label'], place) if 'label' in row else None
            yield Record(spreadsheet_text(row[column]), label)
    except csv.Error as error:  # a field of more than 128 KiB
        raise UserError(f'{path}, line {table.reader.line_num}: {error}.') from None
    if place is None:
        raise UserError(f'the list {path!r} is empty; check the path.')


def _no_label(text, place):
    """In place of a label that is ignored, and which may be that of another model."""


def _label_reader(num_classes, classes):
    """A function of a text and its place that gives the label."""
    labels = {}
    for label, name in enumerate(classes):
        labels.setdefault(name, []).append(label)

    def as_number(label):
        """The shortest number that is no name of another class."""
        texts = (f'{label:0{width}}' for width in count(1))
        return next(text for text in texts if labels.get(text, [label]) == [label])

    def to_label(text, place):
        text = (text or '').strip()
        found = {*labels.get(text, ())}
        if re.fullmatch('[0-9]{1,9}', text) and int(text) < num_classes:
            found.add(int(text))
        if len(found) == 1:
            return found.pop()
        if found:
            numbers = ' or '.join(map(as_number, sorted(found)))
            raise UserError(f'{place}: the label {text!r} stands for {len(found)} classes of the '
                            f'model; write {numbers} instead, counted from 0.')
        names = f', or a name such as {classes[0]!r}' if classes else ''
        raise UserError(f'{place}: the label {text!r} is not a class of the model; give a number '
                        f'from 0 to {num_classes - 1}{names}.')

    return to_label
