import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SWEEP = """
import sys, time
from functools import partial
from pathlib import Path
from cicam_mm.sweep.plan import Run
from cicam_mm.sweep.processes import run_all

def work(folder):
    import os
    (folder / 'part').write_text(str(os.getpid()))
    (folder / 'part').rename(folder / 'pid')
    time.sleep(600)

folder = Path(sys.argv[1])
if __name__ == '__main__':
    list(run_all({Run('a', 'a.py', {}, 0, folder): partial(work, folder)}, jobs=1))
"""


def test_runs_end_with_the_sweep(tmp_path):
    script = tmp_path / 'sweep.py'
    script.write_text(SWEEP)
    sweep = subprocess.Popen([sys.executable, script, tmp_path], stderr=subprocess.DEVNULL)
    pid = wait_for(lambda: (tmp_path / 'pid').is_file() and int((tmp_path / 'pid').read_text()))
    sweep.terminate()
    assert sweep.wait(30) == 128 + signal.SIGTERM
    wait_for(lambda: not is_running(pid), seconds=20)


def wait_for(condition, seconds=60):
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
