"""From files, folders, globs, lists, archives and addresses to images."""
import csv
import os
import re
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from glob import glob, has_magic
from itertools import filterfalse, groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cicam_mm.datasets.images import EXTENSIONS, MAX_PIXELS, decode_image, read_image
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import MAX_READ, backend_of, check_regular, spreadsheet_text

#: Most characters of a line in a list, and of a class or a header in an archive.
MAX_LINE = 2**16
#: Most zero bytes at the end of an archive: two blocks, padded to a record of any usual size.
MAX_PADDING = 2**20


class Record(NamedTuple):
    """One image of the inputs: a file or address, or a member of the archive at ``path``.

    Attributes:
        label: The class whose box to predict; None for the predicted class.
        member: Name of the file in the archive, where it has ``size`` bytes from ``offset`` on.
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
        """Of the image in the results: its path, or ``ARCHIVE/MEMBER``."""
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


def list_inputs(paths: Iterable[str],
                num_classes: int,
                classes: Sequence[str] | None = None,
                use_labels: bool = True,
                leave_out: Callable[[str], bool] = lambda file: False) -> Iterator[Record]:
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
    lists are relative to the working directory.

    Images come in the given order, sorted within a folder or glob. Files named in a list that do
    not exist are included, so that reading them reports the error.

    Args:
        leave_out (Callable): Whether folders and globs leave out the file with this path.

    Raises:
        UserError: If a path does not exist, a folder or glob holds no file, or a list is
            malformed.
    """
    to_label = _label_reader(num_classes, classes or ()) if use_labels else lambda *_: None
    for path in map(str, paths):
        records, problem = _records_of(path, to_label, leave_out)
        first = next(records, None)
        if first is None:
            raise UserError(f'{path!r}: {problem}; check the path.')
        yield first
        yield from records


def _records_of(path, to_label, leave_out):
    """The records of one input, and the problem if there are none."""
    def each(files):
        for file in files:
            yield from list_archive(file, to_label) if is_archive(file) else [Record(file)]

    if '://' in path:
        return _list_address(path), 'the folder holds no file'
    if (files := files_of(path)) is not None:
        problem = 'the folder holds no file' if os.path.isdir(path) else 'no file matches it'
        return each(filterfalse(leave_out, files)), problem
    if not os.path.lexists(path):
        raise UserError(f'{path!r} does not exist; check the path.')
    kind = os.path.splitext(path)[1].lower() if os.path.isfile(path) else ''
    if kind == '.csv':
        return _list_table(path, to_label), 'the list is empty'
    lines = (line.rstrip('\r\n') for line in _lines(path))
    files = filter(None, lines) if kind == '.txt' else [path]
    return each(files), 'the list is empty'


def find_images(paths: Iterable[str]) -> list[str]:
    """The files of :func:`list_inputs`, for callers that take neither lists nor archives.

    Paths that do not exist stay in the list, so that reading them reports the error.
    """
    return [file for path in map(str, paths) for file in [*(files_of(path) or ())] or [path]]


# ---------------------------------------------------------------- folders and globs

def files_of(path: str) -> Iterator[str] | None:
    """The files of a folder or a glob; None for any other path."""
    if os.path.isdir(path):
        return files_below(path)
    is_glob = has_magic(path) and '://' not in path and not os.path.lexists(path)
    return files_matching(path) if is_glob else None


def files_below(folder: str, above: Collection[str] | None = None) -> Iterator[str]:
    """Files in a folder and its subfolders, in the order of their paths.

    Hidden files and folders are left out. Links are followed unless they lead to a folder
    ``above`` them. A folder without read permission is yielded, so that reading it reports the
    error.
    """
    here = os.path.realpath(folder)
    if above is None:
        above = [*map(str, Path(here).parents)]
    elif here in above:
        return
    try:
        with os.scandir(folder) as entries:
            # names of folders with their slash sort like whole paths
            found = sorted((entry.name + '/' * _is_folder(entry), entry.path)
                           for entry in entries if not entry.name.startswith('.'))
    except OSError:
        yield folder
        return
    for name, path in found:
        if name.endswith('/'):
            yield from files_below(path, [*above, here])
        else:
            yield path


def _is_folder(entry):  # where a link leads to itself, only the first raises no error
    return os.path.isdir(entry) if entry.is_symlink() else entry.is_dir()


def files_matching(pattern: str) -> Iterator[str]:
    """Files that match a glob, sorted; ``**`` matches any number of folders."""
    parts = pattern.split('/')
    if '**' not in parts:
        yield from sorted(path for path in glob(pattern) if not os.path.isdir(path))
        return
    # the ** of glob would follow links to folders above
    fixed = next(i for i, part in enumerate(parts) if has_magic(part))
    root = ''.join(f'{part}/' for part in parts[:fixed])
    if parts[-1] == '**':
        parts.append('*')
    for file in files_below(root or '.') if os.path.isdir(root or '.') else ():
        file = file if root else file.removeprefix('./')
        if _matches(file.split('/'), parts):
            yield file


def _matches(names, wanted):
    if not (names and wanted):
        return not (names or wanted)
    if wanted[0] == '**':
        return any(_matches(names[i:], wanted[1:]) for i in range(len(names)))
    return fnmatchcase(names[0], wanted[0]) and _matches(names[1:], wanted[1:])


def _list_address(path):
    backend = backend_of(path)
    if not (hasattr(backend, 'isdir') and backend.isdir(path)):
        if path.lower().endswith(('.txt', '.csv')) or is_archive(path):
            raise UserError(f'{path!r} is an address, but lists and archives must be local files; '
                            'download it.')
        yield Record(path)
        return
    for file in sorted(backend.list_dir_or_file(path, list_dir=False, recursive=True)):
        yield Record(backend.join_path(path, file))


# ---------------------------------------------------------------- lists

def _lines(path, newline='\n'):
    with open(path, encoding='utf-8-sig', errors='surrogateescape', newline=newline) as file:
        for number, line in enumerate(iter(partial(file.readline, MAX_LINE), ''), 1):
            if len(line) == MAX_LINE:
                raise UserError(f'{path}, line {number}: it has {MAX_LINE:,} characters or more, '
                                'so it is not a list of paths.')
            yield line


def _list_table(path, to_label):
    table = csv.DictReader(_lines(path, newline=''))
    try:
        column = next((name for name in table.fieldnames or () if name in ('file', 'path')), None)
        if column is None:
            raise UserError(f"{path}, line 1: there is no column 'file' or 'path'; name the "
                            'columns there.')
        for row in table:
            place = f'{path}, line {table.line_num}'
            if not row[column]:
                raise UserError(f'{place}: the column {column!r} is empty; give a path.')
            label = to_label(row['label'], place) if 'label' in row else None
            yield Record(spreadsheet_text(row[column]), label)
    except csv.Error as error:  # a field of more than 128 KiB
        raise UserError(f'{path}, line {table.reader.line_num}: {error}.') from None


def _label_reader(num_classes, classes):
    """A function of a text and its place that gives the label."""
    labels = {}
    for label, name in enumerate(classes):
        labels.setdefault(name, []).append(label)

    def to_label(text, place):
        text = (text or '').strip()
        found = {*labels.get(text, ())}
        if re.fullmatch('[0-9]{1,9}', text) and int(text) < num_classes:
            found.add(int(text))
        if len(found) == 1:
            return found.pop()
        if found:
            numbers = ' and '.join(map(str, sorted(found)))
            raise UserError(f'{place}: the label {text!r} stands for the classes {numbers} of the '
                            'model, counted from 0; write that number, with leading zeros where '
                            'it is a name, too.')
        names = f', or a name such as {classes[0]!r}' if classes else ''
        raise UserError(f'{place}: the label {text!r:.100} is not a class of the model; give a '
                        f'number from 0 to {num_classes - 1}{names}.')

    return to_label


# ---------------------------------------------------------------- archives

def is_archive(path: str) -> bool:
    """Whether the extension of a path is that of a tar archive."""
    return path.lower().endswith(('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz'))


def list_archive(path: str, to_label: Callable[[str, str], int | None]) -> Iterator[Record]:
    """List the images of a tar archive in the WebDataset layout, without extracting them.

    Consecutive files whose names agree up to the first dot are one sample: its image (``.jpg``,
    ``.png``, ...) and optionally its class (``.cls``), a number or a name as text. Hidden files
    are left out. Only headers are read. The archive must not be compressed.

    An unusable member yields a record with a ``problem``. ``to_label`` converts the text of a
    class, given with its location, to a label, or raises a UserError.
    """
    errors: list[Exception] = []
    is_empty = True
    try:
        check_regular(path)
        with tarfile.open(path, 'r:', tarinfo=_BoundedHeader) as archive:
            for key, members in groupby(_members(archive, errors), key=_key):
                yield from _list_sample(path, archive, key, [*members], to_label)
                is_empty = False
    except Exception as error:  # damaged headers can raise anything
        errors.append(error)
    if errors:
        yield Record(path, problem=f'{path!r} cannot be read completely: {errors[0]}; an archive '
                     'must be one intact tar file without compression.')
    elif is_empty:
        yield Record(path, problem=f'the archive {path!r} holds no file; check it.')


#: Types of headers whose content belongs to the next header.
EXTENSION_HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE,
                     tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


class _BoundedHeader(tarfile.TarInfo):
    """A header whose extensions, which tarfile reads as a whole, are bounded in size."""

    def _proc_member(self, archive):
        if self.size > MAX_LINE and self.type in EXTENSION_HEADERS:
            raise tarfile.ReadError(f'a header has {self.size:,} bytes')
        return super()._proc_member(archive)


def _members(archive, errors):
    """All members except folders and hidden files."""
    try:
        for member in iter(archive.next, None):
            archive.members.clear()  # otherwise the archive keeps them all in memory
            if not member.isdir() and not member.name.rpartition('/')[2].startswith('.'):
                yield member
        # the end of an archive is zeros; at damage tarfile stops as well
        archive.fileobj.seek(archive.offset)
        rest = archive.fileobj.read(MAX_PADDING + 1)
        if not rest or len(rest) > MAX_PADDING or rest.strip(b'\0'):
            raise tarfile.ReadError(f'after {archive.offset:,} bytes there is neither another '
                                    'file nor the end of an archive')
    except Exception as error:  # samples before it are still used
        errors.append(error)


def _key(member):
    folder, slash, name = member.name.rpartition('/')
    return folder + slash + name.partition('.')[0]


def _list_sample(path, archive, key, members, to_label):
    """The image of a sample, and a problem for each further one."""
    images, classes = ([member for member in members
                        if member.name.removeprefix(key).lower() in extensions]
                       for extensions in (EXTENSIONS, ('.cls', )))
    if not images:
        yield Record(path, member=key, problem=f'{f"{path}/{key}"!r} holds no image, only '
                     f'{", ".join(member.name for member in members)}.')
        return
    first, label = images[0], None
    try:
        for member in (first, *classes):
            if not member.isreg() or member.issparse():
                kind = f'a link to {member.linkname!r}' if member.linkname else 'not a plain file'
                raise UserError(f'{f"{path}/{member.name}"!r} is {kind}, which cannot be read; '
                                'store the file itself (tar --dereference --hard-dereference).')
        if len(classes) > 1:
            raise UserError(f'{f"{path}/{first.name}"!r} has {len(classes)} classes; leave one.')
        for member in classes:
            text = archive.extractfile(member).read(MAX_LINE).decode(errors='replace').strip()
            label = to_label(text, f'{path}/{member.name}')
        yield Record(path, label, first.name, first.offset_data, first.size)
    except UserError as error:
        yield Record(path, member=first.name, problem=str(error))
    for image in images[1:]:
        yield Record(path, member=image.name, problem=f'{f"{path}/{image.name}"!r} is not the '
                     f'first image of its sample, which is {first.name!r}; give each a name of '
                     'its own up to the first dot.')
