import os

import pytest
import torch

from cicam_mm.checkpoints.loading import find_damage, has_checksums
from cicam_mm.utils.errors import UserError


def test_what_mmengine_writes_is_intact(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=dict(weight=torch.ones(3, 3)), meta=dict(epoch=1)), path)
    assert find_damage(path) is None
    assert has_checksums(path)


@pytest.mark.parametrize(('change', 'damage'), [
    (lambda content: content[:-100], 'it is truncated, damaged, or not a checkpoint'),
    (lambda content: content.replace(torch.ones(9).numpy().tobytes(), b'1' * 36),
     'its part a/data/0 is damaged')])
def test_damage_is_named(tmp_path, change, damage):
    path = tmp_path / 'a.pth'
    torch.save(dict(weight=torch.ones(9)), path)
    path.write_bytes(change(path.read_bytes()))
    assert find_damage(path) == damage


def test_older_checkpoints_have_none(tmp_path):
    torch.save(dict(weight=torch.ones(9)), tmp_path / 'a.pth',
               _use_new_zipfile_serialization=False)
    (tmp_path / 'empty.pth').touch()
    for name in ('a.pth', 'empty.pth'):
        assert not has_checksums(tmp_path / name) and find_damage(tmp_path / name) is None


def test_pipes_and_missing_files(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for look in (has_checksums, find_damage):
        with pytest.raises(UserError, match='pipe is not a regular file'):
            look(tmp_path / 'pipe')
        with pytest.raises(FileNotFoundError):
            look(tmp_path / 'missing')
