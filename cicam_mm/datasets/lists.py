"""Annotation lists, with errors that name file and line."""
import csv
import math
import re
from collections.abc import Callable, Mapping, Sequence
from posixpath import normpath
from typing import NamedTuple

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import read_text


class Row(NamedTuple):
    """The values on one line of a file, counted from 1, or of the whole file."""
    path: str
    line: int | None
    values: tuple

    def error(self, problem: str) -> UserError:
        place = self.path if self.line is None else f'{self.path}, line {self.line}'
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


def image_path(text: str) -> str:
    """A path in its normal form, so that no image has two."""
    return normpath(nonempty(text))


def read_rows(path: str, columns: Mapping[str, Callable], sep: str | None = None,
              closed: bool = False) -> list[Row]:
    """Read a UTF-8 list with one record per line; blank lines and a header are skipped.

    Args:
        columns (Mapping[str, Callable]): Name and converter of each column; a converter raises
            ``ValueError`` for invalid text.
        sep (str, optional): ``','`` for CSV. Defaults to None: white space, which the last column
            may contain.
        closed (bool): Whether the last line must end with a line break, as in lists that programs
            write; otherwise the file was cut off.
    """
    lines, rows = read_text(path).split('\n'), []
    if closed and lines[-1].strip():
        raise Row(path, len(lines), ()).error('the file ends inside this line')
    for line, content in enumerate(lines, 1):
        content = content.strip()
        try:
            if sep is None:
                fields = content.split(maxsplit=len(columns) - 1)
            else:
                fields = [f.strip() for f in next(csv.reader([content], delimiter=sep), ())]
            if not content or line == 1 and fields == list(columns):
                continue
            values = tuple(read(field) for read, field in zip(
                columns.values(), fields, strict=True))
        except (csv.Error, ValueError):
            raise Row(path, line, ()).error(f"expected '{(sep or ' ').join(columns)}', found "
                                            f'{content!r:.200}') from None
        rows.append(Row(path, line, values))
    if not rows:
        raise UserError(f'{path} is empty; restore the original file.')
    return rows


def read_table(path: str, columns: Mapping[str, Callable], sep: str | None = None,
               closed: bool = False) -> dict[object, Row]:
    """Read a list whose first column is a unique key; rows hold the other columns."""
    table = {}
    for row in read_rows(path, columns, sep, closed):
        key, *values = row.values
        if key in table:
            raise row.error(f"'{key}' is already on line {table[key].line}")
        table[key] = row._replace(values=tuple(values))
    return table


def check_keys(table: Mapping[object, Row], other: Mapping[object, Row]) -> None:
    """Refuse a key of a table that the other one lacks."""
    if keys := table.keys() - other:
        key = min(keys, key=lambda key: table[key].line)
        raise table[key].error(f"'{key}' is not in {next(iter(other.values())).path} ({len(keys)} "
                               'of them in all)')


def check_box(row: Row, box: Sequence[float], inclusive: bool = False) -> None:
    """Refuse a box x0, y0, x1, y1 without area or in other units than pixels.

    Args:
        inclusive (bool): Whether the pixels at x1 and y1 belong to the box, so that equal
            coordinates make one pixel.
    """
    x0, y0, x1, y1 = box
    if not (x0 <= x1 and y0 <= y1 if inclusive else x0 < x1 and y0 < y1):
        raise row.error(f'the box {list(box)} (x0, y0, x1, y1) has no area')
    if 0 <= min(box) and max(box) <= 1 and any(end % 1 for end in box):
        raise row.error(f'the box {list(box)} (x0, y0, x1, y1) is in shares of the image; '
                        'multiply it by width and height, since boxes are in pixels')
