import pytest

from cicam_mm.datasets.lists import (
    Row,
    check_box,
    image_path,
    nonempty,
    number,
    read_rows,
    whole,
)
from cicam_mm.utils.errors import UserError

COLUMNS = dict(path=str, x=number)


@pytest.fixture
def read(tmp_path):
    """The rows of a list with this content."""
    path = tmp_path / 'list.txt'

    def read(text, columns=COLUMNS, sep=None):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return [(row.line, *row.values) for row in read_rows(str(path), columns, sep)]

    return read


def test_columns_separated_by_white_space(read):
    assert read('a 1\n\nb 2.5\n') == [(1, 'a', 1), (3, 'b', 2.5)]
    assert read('1 a b.jpg\n', dict(id=int, path=str)) == [(1, 1, 'a b.jpg')]


@pytest.mark.parametrize('text', [
    'a,1\nb,2\n', 'a,1\r\nb,2\r\n', 'path,x\na,1\nb,2', '\ufeffpath,x\na,1\nb,2', '"a", 1\nb,2'])
def test_csv_as_programs_write_it(read, text):
    assert [values for _, *values in read(text, sep=',')] == [['a', 1], ['b', 2]]
    assert read('"a,b",1\n', sep=',') == [(1, 'a,b', 1)]


@pytest.mark.parametrize('text, message', [
    ('a 1\na', "line 2: expected 'path x', found 'a'"), ('a one', "found 'a one'"),
    ('a 1 2', "found 'a 1 2'"), ('a 1\npath x', 'line 2: expected'),
    ('a 1\nb\0 2', 'list.txt is damaged: .* zero bytes'), ('\n \n', 'list.txt is empty'),
    (b'\x89PNG\xff\xd8', 'list.txt is not UTF-8 text')])
def test_what_is_not_a_list(read, text, message):
    with pytest.raises(UserError, match=message):
        read(text)


@pytest.mark.parametrize('convert, good, bad', [
    (whole, ['7', '0', '007'], ['-1', '1.5', '1_0', '٣', '3' * 5000, '12345678', '']),
    (number, ['-1.5', '1e3', '.5', '5.'], ['inf', 'nan', '1_0', '٣', '1e999', 'x', '']),
    (nonempty, [' '], ['']), (image_path, ['a/b.jpg'], [''])])
def test_converters(convert, good, bad):
    for text in good:
        assert convert(text) == (float(text) if convert in (whole, number) else text)
    for text in bad:
        with pytest.raises(ValueError):
            convert(text)


@pytest.mark.parametrize('box, inclusive, problem', [
    ((5, 0, 5, 9), False, 'no area'), ((0, 9, 5, 9), False, 'no area'),
    ((5, 0, 4, 9), True, 'no area'), ((5, 9, 5, 8), True, 'no area'),
    ((.1, .2, .5, .75), False, 'in shares of the image'),
    ((0, 0, .5, 1), True, 'in shares of the image')])
def test_boxes_without_area_or_not_in_pixels(box, inclusive, problem):
    row = Row('boxes.csv', 4, ())
    check_box(row, (5, 0, 5, 0), inclusive=True)  # one pixel
    check_box(row, (0, 0, 1, 1))
    check_box(row, (0, .5, 1, 1.5))
    with pytest.raises(UserError, match=f'boxes.csv, line 4: the box .* {problem}'):
        check_box(row, box, inclusive)
