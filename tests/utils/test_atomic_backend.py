import errno
import os

import pytest
from mmengine.fileio import get_file_backend
from mmengine.runner import save_checkpoint


@pytest.fixture
def checkpoint(tmp_path):
    """A good checkpoint, to be written over."""
    path = tmp_path / 'work' / 'epoch_1.pth'
    put(path, b'good')
    return path


def put(path, content):
    get_file_backend(str(path), backend_args=dict(backend='atomic')).put(content, str(path))


def test_writes_and_replaces(checkpoint):
    put(checkpoint, b'better')
    assert checkpoint.read_bytes() == b'better'
    assert os.listdir(checkpoint.parent) == ['epoch_1.pth']


def test_appears_when_complete_only(checkpoint, monkeypatch):
    """Up to the very end of the writing the old file is the one that is found."""
    found = []
    monkeypatch.setattr(os, 'fsync', lambda file: found.append(
        (checkpoint.read_bytes(), (checkpoint.parent / 'epoch_1.pth.part').read_bytes())))
    put(checkpoint, b'better')
    assert found == [(b'good', b'better')]


def test_full_disk_leaves_the_good_one_and_says_so(checkpoint, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError) as error:
        put(checkpoint, bytes(3 * 2**20))
    assert error.value.errno == errno.ENOSPC
    assert error.value.strerror == (
        f'the checkpoint {checkpoint} was not written: No space left on device (3 MB); '
        'earlier ones are unchanged, so fix this and continue with --resume')
    assert checkpoint.read_bytes() == b'good'
    assert os.listdir(checkpoint.parent) == ['epoch_1.pth']


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full here')
def test_disk_that_is_full_for_real(tmp_path):
    (tmp_path / 'epoch_1.pth.part').symlink_to('/dev/full')
    with pytest.raises(OSError, match='pth was not written: No space left on device'):
        save_checkpoint(dict(state_dict={}), str(tmp_path / 'epoch_1.pth'),
                        backend_args=dict(backend='atomic'))
    assert os.listdir(tmp_path) == []
