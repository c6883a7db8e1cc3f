"""Annotation lists and XML files, with errors that name the file and the line."""
import csv
import math
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import read_bytes


class Row(NamedTuple):
    """One line of a list: its number, counted from 1, and its values."""
    line: int
    values: tuple


def line_error(path: str, line: int, problem: str) -> UserError:
    """The error for an invalid line of a file."""
    return UserError(
        f'{path}, line {line}: {problem}; correct the line or restore the original file.')


def number(text: str) -> float:
    """Converts to a finite float; ``nan`` and ``inf`` are refused."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def whole(text: str) -> int:
    """Converts to an integer of at least 0, such as a label or a size in pixels."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def nonempty(text: str) -> str:
    """Accepts a text of at least one character."""
    if not text:
        raise ValueError(text)
    return text


def read_rows(path: str,
              columns: Mapping[str, Callable],
              sep: str | None = None,
              closed: bool = False) -> list[Row]:
    """Reads a list with one record per line.

    Blank lines and a first line with the column names are skipped.

    Args:
        path (str): The list, UTF-8 text.
        columns (Mapping[str, Callable]): Name and converter of each column; a
            converter raises ``ValueError`` for invalid text.
        sep (str, optional): ``','`` for comma-separated values (quotes
            allowed). None for columns separated by white space, which the last
            column may contain. Defaults to None.
        closed (bool): Whether the last line must end with a line break, as in
            lists written by programs; without one the file was truncated in
            that line. Defaults to False.

    Returns:
        list[Row]: The records in the order of the file.

    Raises:
        FileNotFoundError: If the list does not exist.
        ValueError: If the list is not text, is empty or truncated, or has a
            malformed line.
    """
    try:
        text = read_bytes(path).decode('utf-8-sig')
    except FileNotFoundError:
        raise FileNotFoundError(f"Annotation file '{path}' does not exist; check the path of the "
                                'data set, or download its annotations.') from None
    except UnicodeDecodeError as error:
        raise UserError(f"Annotation file '{path}' is not UTF-8 text ({error.reason} at byte "
                        f'{error.start}); restore the original file.') from None

    lines = text.split('\n')
    if '\0' in text:  # a crash of the machine can leave them
        raise line_error(path, 1 + text[:text.index('\0')].count('\n'), 'a zero byte')
    if closed and lines[-1].strip():
        raise line_error(path, len(lines), 'the file ends inside this line and seems truncated')
    rows = []
    for line, content in enumerate(lines, 1):
        if not content.strip():
            continue
        if sep is None:
            fields = content.strip().split(maxsplit=len(columns) - 1)
        else:
            fields = [field.strip() for field in _split(path, line, content, sep)]
        if line == 1 and fields == list(columns):
            continue
        try:
            values = tuple(read(field) for read, field in
                           zip(columns.values(), fields, strict=True))
        except ValueError:
            expected = (sep or ' ').join(columns)
            raise line_error(path, line, f"expected '{expected}', found {content.strip()!r:.200}"
                             ) from None
        rows.append(Row(line, values))
    if not rows:
        raise UserError(f"Annotation file '{path}' is empty; restore the original file.")
    return rows


def _split(path, line, content, sep):
    try:
        return next(csv.reader([content], delimiter=sep))
    except csv.Error as error:  # a field of more than 128 KiB
        raise line_error(path, line, str(error)) from None


def read_table(path: str, columns: Mapping[str, Callable], **kwargs) -> dict[object, Row]:
    """Reads a list whose first column is a unique key.

    Args:
        path (str): The list.
        columns (Mapping[str, Callable]): As for :func:`read_rows`.
        **kwargs: Other arguments of :func:`read_rows`.

    Returns:
        dict[object, Row]: Rows by key; a row's values are those of the other
        columns.

    Raises:
        ValueError: If a key occurs twice, or as in :func:`read_rows`.
    """
    table = {}
    for line, (key, *values) in read_rows(path, columns, **kwargs):
        if key in table:
            raise line_error(path, line, f"'{key}' is already on line {table[key].line}")
        table[key] = Row(line, tuple(values))
    return table


def check_has_keys(path: str, table: Mapping[object, Row], other_path: str,
                   other: Collection) -> None:
    """Raises a ``ValueError`` unless the other file has all keys of the table."""
    keys = table.keys() - other
    if keys:
        key = min(keys, key=lambda key: table[key].line)
        raise line_error(path, table[key].line,
                         f"'{key}' is not in {other_path} ({len(keys)} of them in all)")


def check_same_keys(tables: Mapping[str, Mapping[object, Row]]) -> None:
    """Raises a ``ValueError`` unless all tables, given by path, have equal keys."""
    (path, table), *others = tables.items()
    for other_path, other in others:
        check_has_keys(path, table, other_path, other)
        check_has_keys(other_path, other, path, table)


def check_area(path: str,
               line: int,
               box: tuple[float, float, float, float],
               inclusive: bool = False) -> None:
    """Raises a ``ValueError`` for a box ``(x0, y0, x1, y1)`` without area.

    Args:
        path (str): The list the box is from.
        line (int): Its line.
        box (tuple[float, float, float, float]): The box.
        inclusive (bool): Whether the pixels at x1 and y1 belong to the box, so equal
            coordinates make one pixel. Defaults to False.
    """
    x0, y0, x1, y1 = box
    if not (x0 <= x1 and y0 <= y1 if inclusive else x0 < x1 and y0 < y1):
        raise line_error(path, line, f'the box {list(box)} (x0, y0, x1, y1) has no area')


#: Most bytes of a file; the annotations of an image have a few thousand.
MAX_XML = 2**24


def read_xml(path: str) -> Element:
    """Reads an XML file; the attribute ``line`` of each element is its first line.

    Raises:
        UserError: The file is no XML, or cut off; or it is no regular file, or a giant.
    """
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = lambda tag, _: builder.start(
        tag, dict(line=parser.CurrentLineNumber))
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse_entity(*declared):  # a few lines of them make gigabytes of text
        raise line_error(path, parser.CurrentLineNumber, 'it declares an entity')

    parser.EntityDeclHandler = refuse_entity
    try:
        parser.Parse(read_bytes(path, MAX_XML), True)
    except expat.ExpatError as error:
        raise line_error(path, error.lineno,
                         f'not XML ({expat.ErrorString(error.code)})') from None
    return builder.close()


def read_value(path: str, element: Element, name: str, read: Callable):
    """The converted text of a sub-element, named for instance ``'bndbox/xmin'``.

    Raises:
        ValueError: If there is no such element, or the converter refuses its text.
    """
    found = element.find(name)
    if found is None:
        raise line_error(path, element.get('line'), f'<{element.tag}> has no <{name}>')
    text = (found.text or '').strip()
    try:
        return read(text)
    except ValueError:
        raise line_error(
            path, found.get('line'), f"'{text}' is not a value for <{name}>") from None
