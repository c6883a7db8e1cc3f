"""Annotation lists, with errors that name file and line."""
import csv
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from posixpath import normpath
from typing import NamedTuple

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import read_bytes


class Row(NamedTuple):
    """One line of a list: its number, counted from 1, and its values."""
    line: int
    values: tuple


def line_error(path: str, line: int | None, problem: str) -> UserError:
    """The error of a line of a file, or of the file as a whole."""
    place = path if line is None else f'{path}, line {line}'
    return UserError(f'{place}: {problem}; correct it or restore the original file.')


def number(text: str) -> float:
    """A finite number in ASCII digits."""
    if not re.fullmatch(r'[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?', text) or (
            not math.isfinite(value := float(text))):
        raise ValueError(text)
    return value


def whole(text: str) -> int:
    """A label, an id or a size in pixels: an integer from 0 to 9,999,999 in ASCII digits."""
    if not re.fullmatch('[0-9]{1,7}', text):
        raise ValueError(text)
    return int(text)


def nonempty(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def read_rows(path: str,
              columns: Mapping[str, Callable],
              sep: str | None = None,
              closed: bool = False) -> list[Row]:
    """Read a UTF-8 list with one record per line; blank lines and a header are skipped.

    Args:
        columns (Mapping[str, Callable]): Name and converter of each column; a converter raises
            ``ValueError`` for invalid text.
        sep (str, optional): ``','`` for comma-separated values, with quotes. Defaults to None:
            white space, which the last column may contain.
        closed (bool): Whether the last line must end with a line break, as in lists that programs
            write; otherwise the file was cut off. Defaults to False.

    Raises:
        FileNotFoundError: If the list does not exist.
        UserError: If it is not text, empty, cut off, or has a malformed line.
    """
    try:
        text = read_bytes(path).decode('utf-8-sig')
    except FileNotFoundError:
        raise FileNotFoundError(f"Annotation file '{path}' does not exist; check the path of the "
                                'data set, or download its annotations.') from None
    except UnicodeDecodeError as error:
        raise UserError(f"Annotation file '{path}' is not UTF-8 text ({error.reason} at byte "
                        f'{error.start}); restore the original file.') from None
    lines, rows = text.split('\n'), []
    if '\0' in text:  # a crash of the machine can leave them
        raise line_error(path, 1 + text[:text.index('\0')].count('\n'), 'a zero byte')
    if closed and lines[-1].strip():
        raise line_error(path, len(lines), 'the file ends inside this line and seems truncated')
    for line, content in enumerate(lines, 1):
        try:
            if sep is None:
                fields = content.strip().split(maxsplit=len(columns) - 1)
            else:
                fields = [f.strip() for f in next(csv.reader([content], delimiter=sep), ())]
            if not content.strip() or line == 1 and fields == list(columns):
                continue
            rows.append(Row(line, tuple(read(field) for read, field in zip(
                columns.values(), fields, strict=True))))
        except (csv.Error, ValueError):
            raise line_error(path, line, f"expected '{(sep or ' ').join(columns)}', found "
                             f'{content.strip()!r:.200}') from None
    if not rows:
        raise UserError(f"Annotation file '{path}' is empty; restore the original file.")
    return rows


def read_table(path: str, columns: Mapping[str, Callable], **kwargs) -> dict[object, Row]:
    """Read a list whose first column is a unique key; rows hold the other columns."""
    table = {}
    for line, (key, *values) in read_rows(path, columns, **kwargs):
        if key in table:
            raise line_error(path, line, f"'{key}' is already on line {table[key].line}")
        table[key] = Row(line, tuple(values))
    return table


def check_images(path: str, images: Mapping[int, str]) -> None:
    """Refuse a list that names an image twice; ``images`` are paths by line."""
    lines = {}
    for line, image in images.items():
        if (first := lines.setdefault(normpath(image), line)) != line:
            raise line_error(path, line, f"the image '{image}' is already on line {first}")


def check_keys(path: str, table: Mapping[object, Row], other_path: str,
               other: Collection) -> None:
    """Refuse a key of the table that the other list lacks."""
    if keys := table.keys() - other:
        key = min(keys, key=lambda key: table[key].line)
        raise line_error(path, table[key].line,
                         f"'{key}' is not in {other_path} ({len(keys)} of them in all)")


def check_box(path: str, line: int | None, box: Sequence[float], inclusive: bool = False) -> None:
    """Refuse a box x0, y0, x1, y1 without area or in other units than pixels.

    Args:
        inclusive (bool): Whether the pixels at x1 and y1 belong to the box, so that equal
            coordinates make one pixel. Defaults to False.
    """
    x0, y0, x1, y1 = box
    if not (x0 <= x1 and y0 <= y1 if inclusive else x0 < x1 and y0 < y1):
        raise line_error(path, line, f'the box {list(box)} (x0, y0, x1, y1) has no area')
    if 0 <= min(box) and max(box) <= 1 and any(end % 1 for end in box):
        raise line_error(path, line, f'the box {list(box)} (x0, y0, x1, y1) is in shares of the '
                         'image; multiply it by width and height, since boxes are in pixels')
