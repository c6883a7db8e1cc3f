import os
import signal
import time
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from cicam_mm.utils.distributed import end_children_with_this_process


def load_images(tell):
    """Never returns; its worker waits for room in its pipe, and is deaf to SIGTERM."""
    end_children_with_this_process()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    loader = iter(DataLoader([b'x' * 10**6] * 10**4, batch_size=None, num_workers=1,
                             multiprocessing_context='fork'))
    next(loader)
    os.write(tell, str(loader._workers[0].pid).encode())
    time.sleep(100)


def test_workers_end_with_a_killed_process():
    ready, tell = os.pipe()
    if not (parent := os.fork()):
        try:
            load_images(tell)
        finally:
            os._exit(1)
    worker = int(os.read(ready, 20))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    for _ in range(100):
        if not is_running(worker):
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail('the worker has outlived the process that started it')


def is_running(process):
    try:
        return Path(f'/proc/{process}/stat').read_text().split()[2] != 'Z'
    except OSError:
        return False
