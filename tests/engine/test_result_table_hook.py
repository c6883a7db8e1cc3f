from types import SimpleNamespace

import pytest
import torch
from mmpretrain.registry import HOOKS


@pytest.fixture
def runner():
    lines = []
    return SimpleNamespace(logger=SimpleNamespace(info=lines.append), lines=lines)


def test_last_evaluation_is_shown_once_at_the_end(runner):
    hook = HOOKS.build(dict(type='ResultTableHook'))
    hook.after_val_epoch(runner, {'wsol/top1_loc': 1.0})
    hook.after_val_epoch(runner, {'wsol/top1_loc': 58.414, 'matrix': torch.eye(2)})
    assert not runner.lines
    hook.after_run(runner)
    assert [line.split() for line in runner.lines[0].split('\n') if line] == [
        ['Validation', 'value'],
        ['-' * 13, '-----'],
        ['wsol/top1_loc', '58.41'],
    ]


def test_nothing_without_an_evaluation_and_the_title_of_a_test(runner):
    hook = HOOKS.build(dict(type='ResultTableHook'))
    hook.after_run(runner)
    assert not runner.lines
    hook.after_test_epoch(runner, {'wsol/gt_known_loc': 100})
    hook.after_run(runner)
    assert 'Test' in runner.lines[0] and '100.00' in runner.lines[0]
