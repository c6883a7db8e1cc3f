"""Processes that end with the one that started them."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import os, signal, time
from cicam_mm.utils.distributed import end_children_with_this_process, end_with_parent
end_children_with_this_process()
from torch.utils.data import DataLoader
signal.signal(signal.SIGTERM, signal.SIG_IGN)
loader = iter(DataLoader([b'x' * 10**6] * 10**4, batch_size=None, num_workers=1))
next(loader)
print(*[worker.pid for worker in loader._workers], flush=True)
time.sleep(100)
"""


# a run of a sweep, whose own parent lives on
RUN = """
import multiprocessing, time
def run():
    import os
    from cicam_mm.utils.distributed import end_children_with_this_process
    end_children_with_this_process()
    worker = multiprocessing.get_context('fork').Process(target=time.sleep, args=(100, ))
    worker.start()
    print(worker.pid, flush=True)
    os.kill(os.getpid(), 9)
if __name__ == '__main__':
    process = multiprocessing.get_context('spawn').Process(target=run)
    process.start()
    process.join()
    time.sleep(100)
"""


@pytest.mark.parametrize('script', [PARENT, RUN], ids=['command line', 'run of a sweep'])
def test_workers_end_with_a_killed_process(script, tmp_path):
    (tmp_path / 'script.py').write_text(script)
    parent = subprocess.Popen([sys.executable, tmp_path / 'script.py'], stdout=subprocess.PIPE,
                              text=True,
                              env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])})
    worker = int(parent.stdout.readline())
    if script == PARENT:
        parent.kill()
    for _ in range(100):
        if not is_running(worker):
            parent.kill()
            parent.wait()
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    raise AssertionError('the worker has outlived the process that started it')


def is_running(process):
    try:
        return Path(f'/proc/{process}/stat').read_text().split()[2] != 'Z'
    except OSError:
        return False
