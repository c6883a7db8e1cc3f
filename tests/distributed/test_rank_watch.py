"""A rank that does not come while the others wait for it, in real processes."""
import os
import signal
import threading
import time

import pytest
from mmengine.hooks import Hook
from rank import small_runner

pytestmark = pytest.mark.stack


class Hang(Hook):
    """Lets its rank hang: stopped in the third step as it begins, or asleep behind the second."""

    priority = 'LOWEST'

    def __init__(self, how):
        self.how = how

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2 and self.how == 'stopped':
            time.sleep(1)  # for a sign from there
            os.kill(os.getpid(), signal.SIGSTOP)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 1 and self.how == 'asleep':
            time.sleep(100)


def train(work_dir, rank, how):
    own = os.environ['RANK']
    os.environ['TORCHELASTIC_ERROR_FILE'] = str(work_dir / f'error_{own}.json')
    (work_dir / f'{own}.pid').write_text(str(os.getpid()))
    runner = small_runner(work_dir, **{'default_hooks.rank_watch': dict(
        type='RankWatchHook', timeout=3)})
    if own == rank:
        runner.register_hook(Hang(how))
    runner.train()


def kill_when_missed(folder, rank):
    """Ends the rank that hangs, as a launcher does once another one has left with an error."""
    while not (error := folder / f'error_{1 - rank}.json').exists() or not error.stat().st_size:
        time.sleep(.05)
    os.kill(int((folder / f'{rank}.pid').read_text()), signal.SIGKILL)


@pytest.mark.parametrize(('rank', 'how', 'sentence'), [
    (1, 'stopped', 'rank 1 has not responded for 3 s; it was last seen at training iteration 3'),
    (0, 'asleep', 'rank 0 has been stuck after training iteration 2 for 3 s, while rank 1 is at '
     'training iteration 3'),
])
def test_a_rank_that_hangs_is_named(run_ranks, tmp_path, rank, how, sentence):
    threading.Thread(target=kill_when_missed, args=(tmp_path, rank), daemon=True).start()
    assert run_ranks(train, 2, tmp_path, str(rank), how, timeout=40) == [None, None]
    assert sentence in (tmp_path / f'error_{1 - rank}.json').read_text()
