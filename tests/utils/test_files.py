import os

import pytest

from cicam_mm.utils.errors import UserError, as_sentence
from cicam_mm.utils.io import check_writable, open_atomically, read_text, write_atomically


@pytest.mark.parametrize('sync', [False, True])
def test_a_file_appears_when_it_is_complete(tmp_path, sync):
    path = tmp_path / 'new' / 'a.txt'
    with open_atomically(path, sync=sync) as file:
        file.write('Grün')
        assert not path.exists()
    assert path.read_bytes() == 'Grün'.encode() and os.listdir(path.parent) == ['a.txt']


def test_what_was_there_survives_a_full_disk(tmp_path, full_disk):
    path = tmp_path / 'report.html'
    write_atomically(path, 'before')
    with pytest.raises(OSError) as error, full_disk(1000):
        write_atomically(path, 'x' * 2000)
    assert as_sentence(error.value) == f'{path} was not written: File too large'
    assert path.read_text() == 'before' and os.listdir(tmp_path) == ['report.html']


def test_an_interruption_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_atomically(tmp_path / 'a.txt'):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_links_devices_and_longest_names(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path / 'target')
    write_atomically(tmp_path / 'link', b'1')
    assert (tmp_path / 'link').is_symlink() and (tmp_path / 'target').read_bytes() == b'1'
    write_atomically('/dev/null', b'1')
    assert not os.path.isfile('/dev/null')
    write_atomically(tmp_path / ('ä' * 127), b'1')
    with pytest.raises(OSError, match='(?s)a was not written: Is a directory'):
        (tmp_path / 'a').mkdir()
        write_atomically(tmp_path / 'a', b'1')
    assert sorted(os.listdir(tmp_path)) == ['a', 'link', 'target', 'ä' * 127]


@pytest.mark.parametrize(('path', 'is_folder', 'sentence'), [
    ('folder', False, 'folder is a folder; name a file in it'),
    ('file', True, 'file is a file; name a folder'),
    ('file/a.json', False, 'a.json cannot be written: Not a directory'),
    ('file/a', True, 'a cannot be written: Not a directory'),
    ('/proc/a.json', False, '/proc/a.json cannot be written: '),
])
def test_what_cannot_be_written_is_told_before(tmp_path, path, is_folder, sentence):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=sentence):
        check_writable(tmp_path / path, is_folder)


def test_looking_leaves_nothing(tmp_path):
    check_writable(tmp_path / 'new' / 'a.json')
    check_writable(tmp_path / 'new' / 'folder', is_folder=True)
    check_writable('/dev/stdout')
    assert os.listdir(tmp_path) == []


def test_reading_is_bounded(tmp_path):
    os.mkfifo(tmp_path / 'pipe')  # without a writer, opening it would wait for ever
    (tmp_path / 'latin').write_bytes(b'\xfcber')
    with open(tmp_path / 'sparse', 'wb') as file:
        file.truncate(2**40)
    for name, sentence in {'pipe': 'is not a regular file', '/dev/zero': 'is not a regular file',
                           '.': 'is not a regular file', 'latin': 'is not UTF-8 text .* byte 0',
                           'sparse': '1,099,511,627,776 bytes'}.items():
        with pytest.raises(UserError, match=sentence):
            read_text(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / 'missing')
    (tmp_path / 'latin').write_bytes('\ufeffüber'.encode())
    assert read_text(tmp_path / 'latin') == 'über'
