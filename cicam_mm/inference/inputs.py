"""Expanding inputs to a list of images."""
import csv
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from glob import has_magic
from itertools import count, filterfalse

from cicam_mm.apis.file_search import files_below, files_matching
from cicam_mm.datasets.data_file import backend_of
from cicam_mm.errors import UserError
from cicam_mm.spreadsheets import spreadsheet_text

from .archive import is_archive, list_archive
from .record import Record

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
        if text.isdecimal() and int(text) < num_classes:
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
