import pytest

from cicam_mm.datasets.lists import (
    Row,
    check_box,
    check_images,
    check_keys,
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

    def write(text):
        (tmp_path / 'list.txt').write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(tmp_path / 'list.txt')

    return write


def test_columns_separated_by_white_space(write):
    assert read_rows(write('a 1\n\nb 2.5\n'), COLUMNS) == [Row(1, ('a', 1)), Row(3, ('b', 2.5))]
    assert read_rows(write('1 a b.jpg\n'), dict(id=int, path=str)) == [Row(1, (1, 'a b.jpg'))]


@pytest.mark.parametrize('text', [
    'a,1\nb,2\n', 'a,1\r\nb,2\r\n', 'path,x\na,1\nb,2', '\ufeffpath,x\na,1\nb,2', '"a", 1\nb,2'])
def test_csv_as_programs_write_it(write, text):
    assert [row.values for row in read_rows(write(text), COLUMNS, sep=',')] == [('a', 1), ('b', 2)]
    assert read_rows(write('"a,b",1\n'), COLUMNS, sep=',') == [Row(1, ('a,b', 1))]


@pytest.mark.parametrize('text, message', [
    ('a 1\na', "line 2: expected 'path x', found 'a'"), ('a one', "found 'a one'"),
    ('a 1 2', "found 'a 1 2'"), ('a 1\npath x', 'line 2: expected'),
    ('a 1\nb\0 2', 'line 2: a zero byte'), ('\n \n', 'list.txt.* is empty'),
    (b'\x89PNG\xff\xd8', 'list.txt.* is not UTF-8 text')])
def test_what_is_not_a_list(write, text, message):
    with pytest.raises(UserError, match=message):
        read_rows(write(text), COLUMNS)


def test_file_cut_inside_its_last_line(write):
    path = write('a 1\nb 2')
    assert len(read_rows(path, COLUMNS)) == 2
    with pytest.raises(UserError, match=f'{path}, line 2: the file ends inside this line'):
        read_rows(path, COLUMNS, closed=True)


@pytest.mark.parametrize('read, good, bad', [
    (whole, ['7', '0', '007'], ['-1', '1.5', '1_0', '٣', '3' * 5000, '12345678', '']),
    (number, ['-1.5', '1e3', '.5', '5.'], ['inf', 'nan', '1_0', '٣', '1e999', 'x', '']),
    (nonempty, [' '], [''])])
def test_converters(read, good, bad):
    assert all(read(text) == (text if read is nonempty else float(text)) for text in good)
    for text in bad:
        with pytest.raises(ValueError):
            read(text)


def test_keys_and_images_that_occur_twice_or_in_one_list_only(write):
    path = write('7 1\n8 2\n7 3\n')
    with pytest.raises(UserError, match=f"{path}, line 3: '7' is already on line 1"):
        read_table(path, dict(id=int, x=int))
    check_images('a.txt', {1: 'a/x.jpg', 2: 'b/x.jpg'})
    with pytest.raises(UserError, match="line 4: the image './a/x.jpg' is already on line 1"):
        check_images('a.txt', {1: 'a/x.jpg', 4: './a/x.jpg'})
    more, less = {1: Row(1, ()), 2: Row(2, ()), 3: Row(3, ())}, {1: Row(1, ())}
    check_keys('b.txt', less, 'a.txt', more)
    with pytest.raises(UserError, match=r"a.txt, line 2: '2' is not in b.txt \(2 of them"):
        check_keys('a.txt', more, 'b.txt', less)


@pytest.mark.parametrize('box, inclusive, problem', [
    ((5, 0, 5, 9), False, 'no area'), ((0, 9, 5, 9), False, 'no area'),
    ((5, 0, 4, 9), False, 'no area'), ((5, 0, 4, 9), True, 'no area'),
    ((5, 9, 5, 8), True, 'no area'), ((.1, .2, .5, .75), False, 'in shares of the image'),
    ((0, 0, .5, 1), True, 'in shares of the image')])
def test_boxes_without_area_or_not_in_pixels(box, inclusive, problem):
    check_box('boxes.csv', 4, (5, 0, 5, 0), inclusive=True)  # one pixel
    check_box('boxes.csv', 4, (0, 0, 1, 1))
    check_box('boxes.csv', 4, (0, .5, 1, 1.5))
    with pytest.raises(UserError, match=f'boxes.csv, line 4: the box .* {problem}'):
        check_box('boxes.csv', 4, box, inclusive)
