"""Ranks that are killed, and the training that goes on from its last checkpoint."""
import math
import os
import random
import shutil
import signal

import pytest
from mmengine.hooks import Hook
from rank import BATCH, EPOCHS, STEPS, small_runner


class Kill(Hook):
    """Ends its rank before a step, after it, or as the next checkpoint is written."""

    def __init__(self, step, moment):
        self.step, self.moment = step, moment

    def before_train_iter(self, runner, *args, **kwargs):
        self.kill('before', runner.iter)

    def after_train_iter(self, runner, *args, **kwargs):
        self.kill('after', runner.iter)

    def before_save_checkpoint(self, runner, checkpoint):
        if runner.iter > self.step:  # the first one behind the step
            os.fsync = lambda file: self.kill('saving', self.step)

    def kill(self, moment, step):
        if (step, moment) == (self.step, self.moment):
            os.kill(os.getpid(), signal.SIGKILL)


def train(work_dir, killed=None, epochs=EPOCHS):
    """Steps, weights and pool at the end; ``killed`` names a rank, a step and a moment."""
    runner = small_runner(work_dir, **{'train_cfg.max_epochs': epochs})
    if killed and os.environ['RANK'] == killed['rank']:
        runner.register_hook(Kill(killed['step'], killed['moment']))
    runner.train()
    return runner.iter, getattr(runner.model, 'module', runner.model).state_dict()


@pytest.fixture(scope='module')
def undisturbed(run_ranks, tmp_path_factory):
    """Work directory and end of two ranks that nothing happened to."""
    folder = tmp_path_factory.mktemp('undisturbed')
    (_, state), _ = run_ranks(train, 2, folder)
    assert state['head.pool.pool'].any()
    return folder, state


@pytest.mark.parametrize('seed', range(4))
def test_killed_in_every_epoch_and_resumed_is_undisturbed(run_ranks, undisturbed, tmp_path, seed):
    """Any rank at any moment; the end is that of the undisturbed run, bit for bit."""
    rng = random.Random(seed)
    for epoch in range(EPOCHS):
        moment = rng.choice(['before', 'after', 'saving'])
        rank = '0' if moment == 'saving' else rng.choice('01')  # only rank 0 saves
        killed = dict(rank=rank, step=epoch * STEPS + rng.randrange(STEPS), moment=moment)
        assert None in run_ranks(train, 2, tmp_path, killed, timeout=60)
    for _, state in run_ranks(train, 2, tmp_path):
        assert [name for name in state if not state[name].equal(undisturbed[1][name])] == []


@pytest.mark.parametrize('world_size', [1, 3])
def test_goes_on_with_another_number_of_ranks(run_ranks, undisturbed, tmp_path, world_size):
    folder, before = undisturbed
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    results = run_ranks(train, world_size, tmp_path, None, EPOCHS + 1)
    batch = BATCH // world_size * world_size
    pool = results[0][1]['head.pool.pool']
    assert not pool.equal(before['head.pool.pool'])
    for iterations, state in results:
        assert iterations == EPOCHS * STEPS + math.ceil(BATCH * STEPS / batch)
        assert state['head.pool.pool'].equal(pool)
