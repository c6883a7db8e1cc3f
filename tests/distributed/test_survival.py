"""Ranks that are killed, and the training that goes on from its last checkpoint."""
import math
import os
import random
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


def train(work_dir, killed=None):
    """Weights and pool at the end; ``killed`` names a rank, a step and a moment."""
    runner = small_runner(work_dir)
    if killed and os.environ['RANK'] == killed['rank']:
        runner.register_hook(Kill(killed['step'], killed['moment']))
    runner.train()
    return runner.model.module.state_dict()


def draw(rng):
    """Any rank, at any moment; only rank 0 saves."""
    moment = rng.choice(['before', 'after', 'saving'])
    rank = '0' if moment == 'saving' else rng.choice('01')
    return dict(rank=rank, step=rng.randrange(EPOCHS * STEPS), moment=moment)


@pytest.fixture(scope='module')
def undisturbed(run_ranks, tmp_path_factory):
    state = run_ranks(train, 2, tmp_path_factory.mktemp('undisturbed'))[0]
    assert state['head.pool.pool'].any()
    return state


@pytest.mark.parametrize('seed', range(20))
def test_killed_and_resumed_is_undisturbed(run_ranks, undisturbed, tmp_path, seed):
    """Twenty times: the resumed run ends with the undisturbed run's state, bit for bit."""
    assert None in run_ranks(train, 2, tmp_path, draw(random.Random(seed)), timeout=60)
    for state in run_ranks(train, 2, tmp_path):
        assert [name for name in state if not state[name].equal(undisturbed[name])] == []


def test_killed_in_every_epoch(run_ranks, undisturbed, tmp_path):
    """Each run goes on from the one before and is killed an epoch later."""
    for epoch in range(EPOCHS):
        killed = dict(rank=str(epoch % 2), step=epoch * STEPS + epoch % STEPS, moment='after')
        assert None in run_ranks(train, 2, tmp_path, killed, timeout=60)
    for state in run_ranks(train, 2, tmp_path):
        assert [name for name in state if not state[name].equal(undisturbed[name])] == []


def go_on(work_dir):
    runner = small_runner(work_dir, **{'train_cfg.max_epochs': EPOCHS + 1})
    runner.train()
    model = getattr(runner.model, 'module', runner.model)
    return runner.iter, model.head.pool.pool


@pytest.mark.parametrize('world_size', [1, 3])
def test_goes_on_with_another_number_of_ranks(run_ranks, undisturbed, tmp_path, world_size):
    run_ranks(train, 2, tmp_path)
    results = run_ranks(go_on, world_size, tmp_path)
    batch = BATCH // world_size * world_size
    for iterations, pool in results:
        assert iterations == EPOCHS * STEPS + math.ceil(BATCH * STEPS / batch)
        assert pool.equal(results[0][1]) and not pool.equal(undisturbed['head.pool.pool'])
