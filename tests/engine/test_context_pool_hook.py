import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook, LoggerHook
from mmengine.logging import MessageHub, MMLogger
from mmengine.runner import get_priority
from mmpretrain.registry import MODELS
from torch import nn

from cicam_mm.engine.context_pool_hook import ContextPoolHook
from cicam_mm.engine.runner import build_runner
from cicam_mm.utils.errors import UserError

CONFIG = Path(__file__).parents[2] / 'configs' / 'cicam_tiny_shapes.py'


def make_runner(should_update=True, **pool):
    model = nn.Module()
    model.pool = MODELS.build(dict(
        type='CausalContextPool', num_classes=3, channels=2, size=(1, 2), counted='all', **pool))
    return SimpleNamespace(
        model=model,
        iter=0,
        message_hub=MessageHub(f'hook{id(model)}'),
        optim_wrapper=SimpleNamespace(should_update=lambda: should_update))


def record(pool, class_index, left, right):
    pool.record(torch.tensor([[[left, right]]]), torch.tensor([class_index]), torch.tensor([0]))


def test_update_before_branch_2_is_not_repeated_after_the_step():
    """The row of class 1 would be normalized twice, and 0 and 2 be touched."""
    runner, hook = make_runner(update='before', update_rate=.5), ContextPoolHook(interval=1)
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    record(runner.model.pool, 1, 0., 1.)
    expected = runner.model.pool.pool.clone()
    assert expected.flatten(1).any(dim=1).tolist() == [False, True, False]
    hook.after_train_iter(runner, 0)
    assert runner.model.pool.pool.equal(expected)
    assert runner.message_hub.log_scalars['train/pool_change'].current() > 0


def test_accumulated_gradients_are_one_step():
    """Two halves of a batch give the pool of the whole batch, not of two steps."""
    whole, halves, hook = make_runner(), make_runner(), ContextPoolHook()
    hook.before_train(whole)
    record(whole.model.pool, 1, 0., 1.)
    record(whole.model.pool, 1, 9., 1.)
    hook.after_train_iter(whole, 0)

    hook.before_train(halves)
    record(halves.model.pool, 1, 0., 1.)
    halves.optim_wrapper.should_update = lambda: False
    hook.after_train_iter(halves, 0)
    assert not halves.model.pool.pool.any()
    record(halves.model.pool, 1, 9., 1.)
    halves.optim_wrapper.should_update = lambda: True
    hook.after_train_iter(halves, 1)
    assert halves.model.pool.pool.equal(whole.model.pool.pool)


def test_reports_how_full_the_pool_is():
    runner, hook = make_runner(update_rate=1.), ContextPoolHook(interval=1)
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    record(runner.model.pool, 1, 0., 1.)
    record(runner.model.pool, 2, 0., 1.)
    hook.after_train_iter(runner, 0)
    scalars = runner.message_hub.log_scalars
    assert scalars['train/pool_seen'].current() == 2
    # two rows of three moved from zero to (-1, 1), a distance of the square root of 2
    assert scalars['train/pool_change'].current() == pytest.approx(2 * 2**.5 / 3, abs=1e-3)


def test_warns_once_of_maps_that_are_not_finite_and_leaves_frozen_pools(monkeypatch):
    messages = []
    runner, hook = make_runner(), ContextPoolHook(interval=1)
    monkeypatch.setattr(MMLogger.get_current_instance(), 'log', lambda level, message: (
        messages.append(message) if level == logging.WARNING else None))
    hook.before_train(runner)
    for _ in range(3):
        hook.before_train_iter(runner, 0)
        record(runner.model.pool, 1, 0., float('nan'))
        hook.after_train_iter(runner, 0)
    message, = messages
    assert message.startswith('1 activation maps were not finite')
    assert not runner.model.pool.pool.any()

    frozen, hook = make_runner(frozen=True), ContextPoolHook()
    hook.before_train(frozen)
    record(frozen.model.pool, 1, 0., 1.)
    hook.after_train_iter(frozen, 0)
    assert not frozen.model.pool.pool.any()


def test_place_among_other_hooks_and_models():
    for later in EMAHook, LoggerHook:  # which copy the pool and log
        assert get_priority(ContextPoolHook.priority) < get_priority(later.priority)
    with pytest.raises(ValueError, match='ContextPoolHook found no CausalContextPool'):
        ContextPoolHook().before_train(SimpleNamespace(model=nn.Linear(1, 1)))


def test_a_child_config_without_the_hook_ends_in_a_sentence(tmp_path):
    """Its ``custom_hooks`` replace those of the base."""
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(dict(
        work_dir=str(tmp_path), log_level='ERROR', custom_hooks=[dict(type='EMAHook')],
        model=dict(backbone=dict(init_cfg=None)), **{
            f'{split}_dataloader': dict(batch_size=2, num_workers=0, dataset=dict(num_images=6))
            for split in ('train', 'val', 'test')}))
    with pytest.raises(UserError, match=r"add custom_hooks=\[dict\(type='ContextPoolHook'\)\]"):
        build_runner(cfg).train()
