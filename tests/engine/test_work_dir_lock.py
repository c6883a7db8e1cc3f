import json
import os
import signal
import socket

import pytest

from cicam_mm.engine import runner as work_dir_lock
from cicam_mm.engine.runner import LOCK, lock_work_dir
from cicam_mm.utils.errors import UserError


@pytest.fixture
def other(tmp_path):
    """The id of another process that holds the lock of ``tmp_path`` until it is killed."""
    ready, tell = os.pipe()
    if not (child := os.fork()):
        with lock_work_dir(tmp_path):
            os.write(tell, b'.')
            signal.pause()
    os.read(ready, 1)
    yield child
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.fixture
def warnings(monkeypatch):
    told = []
    monkeypatch.setattr(work_dir_lock, 'print_log', lambda message, *_: told.append(message))
    return told


def test_the_owner_is_named(other, tmp_path):
    owner = f'{tmp_path} is in use by another training, process {other} of .* on '
    with pytest.raises(UserError, match=owner + socket.gethostname()), lock_work_dir(tmp_path):
        pytest.fail('two trainings in one work directory')
    with lock_work_dir(tmp_path, rank=1):  # as part of a job, whose rank 0 holds the lock
        pass
    assert json.loads((tmp_path / LOCK).read_text())['pid'] == other


def test_the_lock_of_a_killed_training_is_taken_over(other, tmp_path, warnings):
    os.kill(other, signal.SIGKILL)
    os.waitid(os.P_PID, other, os.WEXITED | os.WNOWAIT)
    with lock_work_dir(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())['pid'] == os.getpid()
    assert len(warnings) == 1 and f'left behind by process {other}' in warnings[0]


def test_a_lock_that_ended_well_is_free(tmp_path, warnings):
    for _ in range(2):
        with lock_work_dir(tmp_path / 'new'):
            pass
    assert (tmp_path / 'new' / LOCK).read_text() == '' and warnings == []


def test_workers_that_outlive_a_training_do_not_hold_its_lock(tmp_path, warnings):
    with lock_work_dir(tmp_path):
        if not (worker := os.fork()):
            signal.pause()
    try:
        with lock_work_dir(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
