import json
import os

import pytest
from mmengine.logging import MMLogger
from mmengine.runner import save_checkpoint

from cicam_mm.utils import io
from cicam_mm.utils.console import format_number, format_table
from cicam_mm.utils.errors import UserError, as_sentence
from cicam_mm.utils.io import (
    check_writable,
    open_atomically,
    read_bytes,
    read_text,
    remove_leftovers,
    spreadsheet_cell,
    spreadsheet_text,
    to_json,
    write_atomically,
)


def test_what_was_there_survives_a_full_disk(tmp_path, full_disk):
    path = tmp_path / 'new' / 'report.html'
    with open_atomically(path, sync=True) as file:
        file.write('Grün')
        assert not path.exists()
    with pytest.raises(OSError) as error, full_disk(1000):
        write_atomically(path, 'x' * 2000)
    assert as_sentence(error.value) == f'{path} was not written: File too large'
    with pytest.raises(KeyboardInterrupt), open_atomically(path):
        raise KeyboardInterrupt
    assert path.read_bytes() == 'Grün'.encode() and os.listdir(path.parent) == ['report.html']


def test_checkpoints_survive_a_full_disk(tmp_path, full_disk):
    path = tmp_path / 'epoch_1.pth'
    path.write_bytes(b'good')
    MMLogger._instance_dict.clear()  # the log of another test would be full first
    with pytest.raises(OSError) as error, full_disk(10):
        save_checkpoint(dict(state_dict={}), str(path), backend_args=dict(backend='atomic'))
    assert as_sentence(error.value) == f'{path} was not written: File too large'
    assert path.read_bytes() == b'good' and os.listdir(tmp_path) == ['epoch_1.pth']


def test_writers_do_not_meet_and_links_are_not_followed(tmp_path):
    """Two writers of one file, a file that only looks like theirs, a link."""
    path = tmp_path / 'a.json'
    (tmp_path / 'a.json.part').write_text('mine')
    (tmp_path / 'target').write_text('mine')
    path.symlink_to(tmp_path / 'target')
    with open_atomically(path) as first, open_atomically(path) as second:
        first.write('1')
        second.write('22')
    assert path.read_text() == '1' and not path.is_symlink()
    assert (tmp_path / 'target').read_text() == (tmp_path / 'a.json.part').read_text() == 'mine'
    (tmp_path / '.a.json.0123abcd.part').touch()  # of a process that was killed
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['a.json', 'a.json.part', 'target']


def test_devices_folders_and_longest_names(tmp_path):
    write_atomically('/dev/null', b'1')
    assert not os.path.isfile('/dev/null')
    write_atomically(tmp_path / ('ä' * 127), b'1')
    (tmp_path / 'a').mkdir()
    with pytest.raises(OSError, match='(?s)a was not written: Is a directory'):
        write_atomically(tmp_path / 'a', b'1')
    assert sorted(os.listdir(tmp_path)) == ['a', 'ä' * 127]


@pytest.mark.parametrize(('path', 'is_folder', 'sentence'), [
    ('folder', False, 'folder is a folder; name a file in it'),
    ('file', True, 'file is a file; name a folder'),
    ('file/a.json', False, 'a.json cannot be written: Not a directory'),
    ('/proc/a.json', False, '/proc/a.json cannot be written: '),
])
def test_what_cannot_be_written(tmp_path, path, is_folder, sentence):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'file').touch()
    check_writable(tmp_path / 'new' / 'a.json')
    check_writable('/dev/stdout')
    with pytest.raises(UserError, match=sentence):
        check_writable(tmp_path / path, is_folder)
    assert sorted(os.listdir(tmp_path)) == ['file', 'folder']


def test_reading_is_bounded(tmp_path):
    os.mkfifo(tmp_path / 'pipe')  # without a writer, opening it would wait for ever
    (tmp_path / 'latin').write_bytes(b'\xfcber')
    with open(tmp_path / 'sparse', 'wb') as file:
        file.truncate(2**40)
    for name, sentence in {'pipe': 'is not a regular file', '/dev/zero': 'is not a regular file',
                           'latin': 'is not UTF-8 text .* byte 0',
                           'sparse': '1,099,511,627,776 bytes'}.items():
        with pytest.raises(UserError, match=sentence):
            read_text(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / 'missing')
    (tmp_path / 'latin').write_bytes('\ufeffüber\r\n'.encode())
    assert read_text(tmp_path / 'latin') == 'über\n'


def test_addresses_are_bounded(serve, tmp_path, monkeypatch):
    (tmp_path / 'a').write_bytes(bytes(800))
    with serve(tmp_path) as address:
        assert read_bytes(f'{address}/a') == bytes(800)
        with pytest.raises(UserError, match='has more than 500 bytes'):
            read_bytes(f'{address}/a', limit=500)
        monkeypatch.setattr(io, 'MAX_SECONDS', -1)
        with pytest.raises(UserError, match='was not read within -1 s'):
            read_bytes(f'{address}/a')


def test_json_holds_finite_numbers_only():
    content = dict(a=[1, 2.5, None, 'x'], b=dict(c=(True, 1e300)))
    assert json.loads(to_json(content, indent=2)) == dict(a=[1, 2.5, None, 'x'],
                                                          b=dict(c=[True, 1e300]))
    with pytest.raises(UserError, match='a number is not finite, so nothing was written'):
        to_json(dict(a=[0., {'b': float('-inf')}]))


@pytest.mark.parametrize(('value', 'cell'), [
    ('=cmd|A0', "'=cmd|A0"), ('@x', "'@x"), ('-x', "'-x"), ('+x', "'+x"), ('\t=1', "'\t=1"),
    ('-1.5', '-1.5'), (-1.5, -1.5), ('a=b', 'a=b'), ('', ''), (None, None),
])
def test_no_cell_is_a_formula(value, cell):
    assert spreadsheet_cell(value) == cell
    assert not isinstance(value, str) or spreadsheet_text(cell) == value


def test_numbers_and_tables():
    assert [*map(format_number, [55.5555, 0, .012345, .55, -.001])] == [
        '55.56', '0.00', '0.0123', '0.55', '-0.001']
    assert format_table([['method', 'loc'], ['CAM', '8.00'], ['CI-CAM', '46']]) == (
        'method   loc\n------  ----\nCAM     8.00\nCI-CAM    46')
