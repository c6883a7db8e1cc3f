import pytest

from cicam_mm.datasets.lists import (
    Row,
    check_box,
    check_keys,
    image_path,
    nonempty,
    number,
    read_rows,
    read_table,
    whole,
)
from cicam_mm.utils.errors import UserError

COLUMNS = dict(path=str, x=number)


@pytest.fixture
def write(tmp_path):
    path = tmp_path / 'list.txt'

    def write(text):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def test_columns_separated_by_white_space(write):
    path = write('a 1\n\nb 2.5\n')
    assert read_rows(path, COLUMNS) == [Row(path, 1, ('a', 1)), Row(path, 3, ('b', 2.5))]
    assert read_rows(write('1 a b.jpg\n'), dict(id=int, path=str))[0].values == (1, 'a b.jpg')


@pytest.mark.parametrize('text', [
    'a,1\nb,2\n', 'a,1\r\nb,2\r\n', 'path,x\na,1\nb,2', '\ufeffpath,x\na,1\nb,2', '"a", 1\nb,2'])
def test_csv_as_programs_write_it(write, text):
    assert [row.values for row in read_rows(write(text), COLUMNS, sep=',')] == [('a', 1), ('b', 2)]
    assert read_rows(write('"a,b",1\n'), COLUMNS, sep=',')[0].values == ('a,b', 1)


@pytest.mark.parametrize('text, message', [
    ('a 1\na', "line 2: expected 'path x', found 'a'"), ('a one', "found 'a one'"),
    ('a 1 2', "found 'a 1 2'"), ('a 1\npath x', 'line 2: expected'),
    ('a 1\nb\0 2', 'list.txt is damaged: .* zero bytes'), ('\n \n', 'list.txt is empty'),
    (b'\x89PNG\xff\xd8', 'list.txt is not UTF-8 text')])
def test_what_is_not_a_list(write, text, message):
    with pytest.raises(UserError, match=message):
        read_rows(write(text), COLUMNS)


@pytest.mark.parametrize('read, good, bad', [
    (whole, ['7', '0', '007'], ['-1', '1.5', '1_0', '٣', '3' * 5000, '12345678', '']),
    (number, ['-1.5', '1e3', '.5', '5.'], ['inf', 'nan', '1_0', '٣', '1e999', 'x', '']),
    (nonempty, [' '], ['']), (image_path, ['a/b.jpg'], [''])])
def test_converters(read, good, bad):
    assert all(read(text) == (float(text) if read in (whole, number) else text) for text in good)
    for text in bad:
        with pytest.raises(ValueError):
            read(text)


def test_keys_that_occur_twice_or_in_one_list_only(write):
    path = write('7 1\n8 2\n7 3\n')
    with pytest.raises(UserError, match=f"{path}, line 3: '7' is already on line 1"):
        read_table(path, dict(id=int, x=int))
    more, less = ({key: Row(path, key, ()) for key in keys} for path, keys in (
        ('a.txt', (1, 2, 3)), ('b.txt', (1, ))))
    check_keys(less, more)
    with pytest.raises(UserError, match=r"a.txt, line 2: '2' is not in b.txt \(2 of them"):
        check_keys(more, less)


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
