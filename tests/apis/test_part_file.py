import os

import pytest

from cicam_mm.apis.batch import PartFile, merge_parts, read_part
from cicam_mm.utils.errors import UserError


def write(path, *numbers):
    with PartFile(path) as part:
        for number in numbers:
            part.append(number, [dict(sample_idx=2 * number + place) for place in range(2)])
    return path


def test_merged_in_the_order_of_batches(tmp_path):
    parts = [write(tmp_path / 'a', 0, 3, 4), write(tmp_path / 'b', 1, 6),
             write(tmp_path / 'c', 2, 5), write(tmp_path / 'd')]
    assert [*merge_parts(parts, 14)] == [dict(sample_idx=number) for number in range(14)]


@pytest.mark.parametrize(('numbers', 'total'), [((0, 2), 6), ((0, 0, 1), 4), ((0, 1), 6)])
def test_each_image_has_one_result(tmp_path, numbers, total):
    with pytest.raises(UserError, match='results of image [24] are missing or doubled'):
        [*merge_parts([write(tmp_path / 'a', *numbers)], total)]


def test_every_cut_leaves_the_complete_batches(tmp_path):
    content = write(tmp_path / 'whole', 7, 8).read_bytes()
    first = content.index(b'\n') + 1
    for length in range(len(content) + 1):
        (tmp_path / 'cut').write_bytes(content[:length])
        expected = [7] * (length >= first) + [8] * (length == len(content))
        assert [number for number, _ in read_part(tmp_path / 'cut')] == expected


def test_what_is_there_is_never_overwritten(tmp_path):
    with pytest.raises(FileExistsError):
        write(write(tmp_path / 'a', 0))


def test_a_batch_is_there_at_once(tmp_path):
    with PartFile(tmp_path / 'a') as part:
        part.append(0, [])
        assert [*read_part(tmp_path / 'a')] == [[0, []]]


def test_a_damaged_line_is_told(tmp_path):
    path = write(tmp_path / 'a', 7, 8)
    content = path.read_bytes()
    for position, byte in enumerate(content[:-1]):  # behind the last one, a line is not complete
        path.write_bytes(content[:position] + bytes([byte ^ 1]) + content[position + 1:])
        with pytest.raises(UserError, match=f'{path}, line [12] is damaged; delete the file'):
            [*read_part(path)]


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / 'rank0.0.jsonl')
    with pytest.raises(UserError, match='rank0.0.jsonl is not a regular file'):
        [*read_part(tmp_path / 'rank0.0.jsonl')]
