"""A rank that is stopped while the others wait for it, in real processes."""
import os
import signal
import threading
import time

import pytest
from mmengine.hooks import Hook
from rank import small_runner

from cicam_mm.utils.distributed import watch_ranks

pytestmark = pytest.mark.stack


class Stop(Hook):
    """Stops its rank as the third step begins."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2:
            time.sleep(1)  # for a sign of life
            os.kill(os.getpid(), signal.SIGSTOP)


def train(work_dir, rank):
    own = os.environ['RANK']
    os.environ['TORCHELASTIC_ERROR_FILE'] = str(work_dir / f'error_{own}.json')
    (work_dir / f'{own}.pid').write_text(str(os.getpid()))
    runner = small_runner(work_dir)
    watch_ranks(3)
    if own == rank:
        runner.register_hook(Stop())
    runner.train()


def kill_when_missed(folder, rank):
    """Ends the stopped rank, as a launcher does once another one has left with an error."""
    while not (error := folder / f'error_{1 - rank}.json').exists() or not error.stat().st_size:
        time.sleep(.05)
    os.kill(int((folder / f'{rank}.pid').read_text()), signal.SIGKILL)


@pytest.mark.parametrize('rank', [0, 1])
def test_a_rank_that_was_stopped_is_named(run_ranks, tmp_path, rank):
    threading.Thread(target=kill_when_missed, args=(tmp_path, rank), daemon=True).start()
    assert run_ranks(train, 2, tmp_path, str(rank), timeout=40) == [None, None]
    assert (f'rank {rank} has not responded for 3 s; check its machine'
            in (tmp_path / f'error_{1 - rank}.json').read_text())
