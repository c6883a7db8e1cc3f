import logging
import os

import pytest
import torch

from cicam_mm.checkpoints import resume

pytestmark = pytest.mark.stack


@pytest.fixture
def work_dir(tmp_path):
    """Three epochs, oldest first, and what else may lie beside them."""
    for number, name in enumerate(['best_top1.pth', 'epoch_8.pth', 'epoch_9.pth', 'epoch_10.pth']):
        torch.save(dict(weight=torch.full((100, ), number)), tmp_path / name)
        os.utime(tmp_path / name, (number, number))
    (tmp_path / 'epoch_11.pth.part').write_bytes(b'interrupted')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_10.pth'))
    return tmp_path


@pytest.fixture
def warnings(monkeypatch):
    shown = []
    monkeypatch.setattr(resume, 'print_log', lambda message, *args: shown.append((message, *args)))
    return shown


def found(work_dir):
    path = resume.find_resumable(work_dir)
    return path and path.name


def test_the_last_one(work_dir, warnings):
    assert found(work_dir) == 'epoch_10.pth' and warnings == []


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(('damage', 'says'), [
    (cut, 'it is truncated, damaged, or not a checkpoint'),
    (lambda path: path.write_bytes(b''), 'it is truncated, damaged, or not a checkpoint'),
    (lambda path: path.unlink(), 'it cannot be read ([Errno 2] No such file or directory'),
])
def test_a_damaged_one_is_skipped_with_a_warning(work_dir, warnings, damage, says):
    damage(work_dir / 'epoch_10.pth')
    assert found(work_dir) == 'epoch_9.pth'
    (message, logger, level), = warnings
    assert message.startswith(f'The checkpoint {work_dir / "epoch_10.pth"} is skipped: {says}')
    assert logger == 'current' and level == logging.WARNING


@pytest.mark.parametrize('target', ['', '\0', 'moved/epoch_10.pth', '/dev/zero', 'pipe', '.'])
def test_damaged_pointers(work_dir, warnings, target):
    """It is written in place, so a crash may leave it empty; a folder may have been moved."""
    os.mkfifo(work_dir / 'pipe')
    os.mkfifo(work_dir / 'epoch_12.pth')
    (work_dir / 'last_checkpoint').write_text(target and str(work_dir / target))
    assert found(work_dir) == 'epoch_10.pth' and len(warnings) == bool(target)
    (work_dir / 'last_checkpoint').unlink()
    os.mkfifo(work_dir / 'last_checkpoint')
    assert found(work_dir) == 'epoch_10.pth' and len(warnings) == bool(target)


def test_pointer_to_another_folder(work_dir, tmp_path):
    """CheckpointHook's out_dir: the one before the last is looked for there."""
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    (elsewhere / 'last_checkpoint').write_text(str(work_dir / 'epoch_10.pth'))
    cut(work_dir / 'epoch_10.pth')
    assert found(elsewhere) == 'epoch_9.pth' and found(tmp_path / 'missing') is None
