import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from tool_process import ToolProcess

from cicam_mm.sweep.processes import default_jobs, run_all
from cicam_mm.sweep.runs import Run

SWEEP = """
import multiprocessing, runpy, sys
from functools import partial
from pathlib import Path
from cicam_mm.sweep.processes import LocalStarter, run_all
from cicam_mm.sweep.runs import Run

if __name__ == '__main__':
    folder, starter = Path(sys.argv[1]), LocalStarter(1)
    if sys.argv[2] == 'fork':  # quicker
        starter._context = multiprocessing.get_context('fork')
    work = partial(runpy.run_path, str(folder / 'work.py'))
    list(run_all({Run('a', 'a.py', {}, 0, folder): work}, 1, starter))
"""
WORK = """
import os, pathlib, time
folder = pathlib.Path(__file__).parent
(folder / 'part').write_text(str(os.getpid()))
(folder / 'part').rename(folder / 'pid')
time.sleep(600)
"""


@pytest.mark.parametrize(('number', 'code', 'method'), [
    (signal.SIGTERM, 128 + signal.SIGTERM, 'fork'),
    (signal.SIGKILL, -signal.SIGKILL, 'forkserver')])
def test_runs_end_with_the_sweep(forkserver, tmp_path, number, code, method):
    (tmp_path / 'sweep.py').write_text(SWEEP)
    (tmp_path / 'work.py').write_text(WORK)
    sweep = ToolProcess(forkserver, tmp_path / 'sweep.py', [str(tmp_path), method],
                        tmp_path / 'log', tmp_path)
    wait_for(lambda: (tmp_path / 'pid').is_file() or sweep.poll() is not None)
    pid = int((tmp_path / 'pid').read_text())
    sweep.send_signal(number)
    sweep.communicate(30)
    assert sweep.returncode == code
    wait_for(lambda: not is_running(pid), seconds=20)


@pytest.mark.parametrize('given, seen', [(None, '012'), ('6,4,7', '647')])
def test_each_job_has_a_gpu_of_those_that_the_user_gave(tmp_path, monkeypatch, given, seen):
    def count():  # as torch does before CUDA is initialized
        now = os.environ.get('CUDA_VISIBLE_DEVICES')
        return 3 if now is None else len(now.split(','))

    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if given:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', given)
    monkeypatch.setattr(torch.cuda, 'device_count', count)
    fork = multiprocessing.get_context('fork')  # quicker than spawn
    monkeypatch.setattr(multiprocessing, 'get_context', lambda method: fork)
    runs = [Run('a', 'a.py', {}, seed, tmp_path / str(seed)) for seed in range(4)]
    outcomes = list(run_all(dict.fromkeys(runs, tell_gpu), jobs=default_jobs()))
    assert [outcome.error for outcome in outcomes] == [None] * 4
    seen_by = [(run.folder / 'console.log').read_text() for run in runs]
    assert seen_by[:3] == list(seen) and seen_by[3] in seen
    assert os.environ.get('CUDA_VISIBLE_DEVICES') == given


def tell_gpu():
    os.write(1, os.environ['CUDA_VISIBLE_DEVICES'].encode())


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f'/proc/{pid}/stat')
    return not (state.is_file() and state.read_text().rsplit(')', 1)[1].split()[0] == 'Z')
