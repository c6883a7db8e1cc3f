"""What people put around the pool, in a Runner on two ranks; no unused parameters are sought."""
import math

import pytest
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from rank import small_runner


def train(work_dir, options):
    """Pool (None without one) before and after, and the state that an EMAHook keeps."""
    runner = small_runner(work_dir, **{'train_cfg.max_epochs': 1, **options})
    pool = runner.model.module.head.pool
    before = pool and pool.pool.fill_(.5).clone()
    runner.train()
    assert not runner.model.find_unused_parameters
    averaged = [hook.ema_model.module.state_dict() for hook in runner.hooks
                if hasattr(hook, 'ema_model')]
    return before, pool and pool.pool, runner.model.module.state_dict(), averaged


@pytest.fixture
def run(run_ranks, tmp_path):
    def run(**options):
        results = run_ranks(train, 2, tmp_path, options)
        for name, value in results[0][2].items():
            assert value.equal(results[1][2][name]), name
        return results[0]

    return run


def test_averaged_model_carries_the_pool_also_of_accumulated_gradients(run):
    before, pool, state, averaged = run(
        custom_hooks=[dict(type='ContextPoolHook'), dict(type='EMAHook')],
        **{'optim_wrapper.accumulative_counts': 2})
    assert not pool.equal(before) and pool.isfinite().all()
    assert averaged[0]['head.pool.pool'].equal(pool)
    assert not averaged[0]['head.fc.weight'].equal(state['head.fc.weight'])


def test_frozen_pool_stays(run):
    before, pool, _, _ = run(**{'model.head.pool.frozen': True})
    assert pool.equal(before)


def test_without_a_pool(run):
    _, pool, state, _ = run(**{'model.head.pool': None, 'custom_hooks': []})
    assert pool is None and 'head.pool.pool' not in state


class Spoil(Hook):
    """Makes an image of rank 1 not a number in the second of three steps.

    Keeps the loss and the weights of each step.
    """

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch):
        if batch_idx == 1 and get_rank() == 1:
            data_batch['inputs'] = [torch.full((3, 96, 96), torch.nan)] * 2

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        weight = runner.model.module.head.fc.weight
        self.seen.append((outputs['loss'].item(), weight.detach().clone()))


def train_spoiled(work_dir):
    """Losses and weights of each step, and the pool."""
    runner, hook = small_runner(work_dir, **{'train_cfg.max_epochs': 1}), Spoil()
    runner.register_hook(hook)
    runner.train()
    return *zip(*hook.seen, strict=True), runner.model.module.head.pool.pool


def test_a_loss_that_is_not_finite_reaches_no_weight_of_any_rank(run_ranks, tmp_path):
    (losses, weights, pool), others = run_ranks(train_spoiled, 2, tmp_path)
    losses_of_other, weights_of_other, pool_of_other = others
    assert [math.isfinite(loss) for loss in losses] == [True] * 3
    assert [math.isfinite(loss) for loss in losses_of_other] == [True, False, True]
    assert all(weight.isfinite().all() for weight in weights)
    assert not weights[2].equal(weights[1])
    assert all(map(torch.equal, weights, weights_of_other))
    assert pool.equal(pool_of_other) and pool.isfinite().all()
