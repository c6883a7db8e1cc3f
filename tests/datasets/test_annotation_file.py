import os

import pytest

from cicam_mm.datasets.lists import (
    Row,
    check_area,
    check_has_keys,
    check_same_keys,
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

    def write(text, name='list.txt'):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(tmp_path / name)

    return write


def test_rows_keep_their_line_numbers(write):
    assert read_rows(write('a 1\n\nb 2.5\n'), COLUMNS) == [Row(1, ('a', 1)), Row(3, ('b', 2.5))]


def test_last_column_may_hold_white_space(write):
    assert read_rows(write('1 a b.jpg\n'), dict(id=int, path=str)) == [Row(1, (1, 'a b.jpg'))]


@pytest.mark.parametrize('text', [
    'a,1\nb,2\n', 'a,1\r\nb,2\r\n', 'path,x\na,1\nb,2', '\ufeffpath,x\na,1\nb,2', '"a", 1\nb,2'])
def test_csv_as_programs_write_it(write, text):
    assert [row.values for row in read_rows(write(text), COLUMNS, sep=',')] == [('a', 1), ('b', 2)]


def test_quoted_path_may_hold_commas(write):
    assert read_rows(write('"a,b",1\n'), COLUMNS, sep=',') == [Row(1, ('a,b', 1))]


@pytest.mark.parametrize('line', ['a', 'a one', 'a nan', 'a inf', 'a 1 2'])
def test_malformed_line(write, line):
    path = write(f'a 1\n{line}\n')
    with pytest.raises(ValueError, match=f"{path}, line 2: expected 'path x', found '{line}'"):
        read_rows(path, COLUMNS)


def test_header_only_counts_in_the_first_line(write):
    with pytest.raises(ValueError, match='line 2: expected'):
        read_rows(write('a,1\npath,x\n'), COLUMNS, sep=',')


def test_file_cut_inside_its_last_line(write):
    path = write('a 1\nb 2')
    assert len(read_rows(path, COLUMNS)) == 2
    with pytest.raises(ValueError, match=f'{path}, line 2: the file ends inside this line'):
        read_rows(path, COLUMNS, closed=True)


def test_missing_empty_and_binary_files(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"'{tmp_path}/no.txt' does not exist"):
        read_rows(f'{tmp_path}/no.txt', COLUMNS)
    with pytest.raises(ValueError, match='list.txt.* is empty'):
        read_rows(write('\n \n'), COLUMNS)
    with pytest.raises(ValueError, match='list.txt.* is not UTF-8 text'):
        read_rows(write(b'\x89PNG\xff\xd8'), COLUMNS)


def test_lists_that_would_not_end(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with open(tmp_path / 'sparse', 'wb') as file:
        file.truncate(2**40)
    for path, sentence in ((tmp_path / 'pipe', 'is not a regular file'), ('/dev/zero', 'regular'),
                           (tmp_path / 'sparse', 'has 1,099,511,627,776 bytes, but such')):
        with pytest.raises(UserError, match=f'{path} .*{sentence}'):
            read_rows(str(path), COLUMNS)


def test_table_refuses_a_key_twice(write):
    path = write('7 1\n8 2\n7 3\n')
    with pytest.raises(ValueError, match=f"{path}, line 3: '7' is already on line 1"):
        read_table(path, dict(id=int, x=int))


@pytest.mark.parametrize('order', [('a.txt', 'b.txt'), ('b.txt', 'a.txt')])
def test_disagreeing_keys_name_the_file_that_has_more(order):
    tables = {'a.txt': {1: Row(1, ()), 2: Row(2, ()), 3: Row(3, ())}, 'b.txt': {1: Row(1, ())}}
    with pytest.raises(ValueError, match=r"a.txt, line 2: '2' is not in b.txt \(2 of them"):
        check_same_keys({name: tables[name] for name in order})
    check_same_keys({'a.txt': tables['a.txt'], 'c.txt': tables['a.txt']})


def test_another_file_may_have_more():
    tables = {'a.txt': {1: Row(1, ())}, 'b.txt': {1: Row(1, ()), 2: Row(2, ())}}
    check_has_keys('a.txt', tables['a.txt'], 'b.txt', tables['b.txt'])
    with pytest.raises(ValueError, match=r"b.txt, line 2: '2' is not in a.txt \(1 of them"):
        check_has_keys('b.txt', tables['b.txt'], 'a.txt', tables['a.txt'])


@pytest.mark.parametrize('read, good, bad', [
    (whole, '7', '-1'), (whole, '0', '1.5'), (number, '-1.5', 'inf'), (nonempty, ' ', '')])
def test_converters(read, good, bad):
    read(good)
    with pytest.raises(ValueError):
        read(bad)


def test_a_box_with_its_last_pixel_has_area_where_the_ends_are_equal():
    check_area('boxes.csv', 4, (5, 0, 5, 0), inclusive=True)
    for box in ((5, 0, 4, 9), (5, 9, 5, 8)):
        with pytest.raises(ValueError, match='has no area'):
            check_area('boxes.csv', 4, box, inclusive=True)


@pytest.mark.parametrize('box', [(5, 0, 5, 9), (0, 9, 5, 9), (5, 0, 4, 9), (0, 9, 5, 8)])
def test_box_without_area(box):
    with pytest.raises(ValueError, match='boxes.csv, line 4: the box .* has no area'):
        check_area('boxes.csv', 4, box)
