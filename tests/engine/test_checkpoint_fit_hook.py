"""Checkpoints of another model, or of no training, given to the command lines."""
import json

import pytest
import torch

pytestmark = pytest.mark.stack


@pytest.fixture(scope='module')
def make_checkpoint(tmp_path_factory):
    """Changes the toy training's last checkpoint in some way; gives its path."""
    made = {}

    def make(run_tool, toy_config, change=None):
        if not made:
            work_dir = tmp_path_factory.mktemp('toy')
            run_tool('train.py', toy_config, '--work-dir', work_dir, '--no-validate')
            made['path'] = work_dir / 'epoch_1.pth'
        if change is None:
            return made['path']
        checkpoint = torch.load(made['path'], weights_only=True)
        change(checkpoint)
        path = tmp_path_factory.mktemp('changed') / 'epoch_1.pth'
        torch.save(checkpoint, path)
        return path

    return make


def refusal(run_tool, capsys, *args):
    message = run_tool.error(*args)
    assert 'accuracy/top1' not in capsys.readouterr().out
    return message


def empty(checkpoint):
    checkpoint['state_dict'].clear()


def other_class_count(checkpoint):
    checkpoint['state_dict']['head.fc.weight'] = torch.ones(3, 32)


def without_head(checkpoint):
    del checkpoint['state_dict']['head.fc.weight']


def one_more(checkpoint):
    checkpoint['state_dict']['head.pool.pool'] = torch.ones(2, 3, 3)


def not_finite(checkpoint):
    checkpoint['state_dict']['head.fc.bias'][0] = float('nan')


@pytest.mark.parametrize('change, says', [
    (empty, 'missing (backbone.'),
    (other_class_count, '1 misshapen (head.fc.weight: (3, 32) instead of (2, 32))'),
    (without_head, '1 missing (head.fc.weight)'),
    (one_more, '1 unexpected (head.pool.pool)'),
    (not_finite, '1 of 2 values of head.fc.bias in the checkpoint'),
])
@pytest.mark.parametrize('how', ['test', 'resume'])
def test_what_does_not_fit_is_refused(run_tool, toy_config, make_checkpoint, capsys, tmp_path,
                                      change, says, how):
    path = make_checkpoint(run_tool, toy_config, change)
    args = ('test.py', toy_config, path) if how == 'test' else (
        'train.py', toy_config, '--resume', path)
    assert says in refusal(run_tool, capsys, *args, '--work-dir', tmp_path / 'work')


@pytest.mark.parametrize('change', [other_class_count, without_head, one_more])
def test_another_head_is_trained_and_said(run_tool, toy_config, make_checkpoint, capsys, tmp_path,
                                          change):
    path = make_checkpoint(run_tool, toy_config, change)
    run_tool('train.py', toy_config, '--work-dir', tmp_path / 'work', '--no-validate',
             '--cfg-options', f'load_from={path}')
    assert (f'Not all weights were loaded from {path}; the others keep their initialization: 1 '
            in capsys.readouterr().out)


@pytest.mark.parametrize('change', [empty, not_finite])
def test_training_does_not_start_from_these(run_tool, toy_config, make_checkpoint, capsys,
                                            tmp_path, change):
    path = make_checkpoint(run_tool, toy_config, change)
    assert str(path) in refusal(
        run_tool, capsys, 'train.py', toy_config, '--work-dir', tmp_path / 'work',
        '--cfg-options', f'load_from={path}')


def without(part):
    return lambda checkpoint: checkpoint.pop(part)


def empty_optimizer(checkpoint):
    checkpoint['optimizer'] = {}


def one_group_less(checkpoint):
    checkpoint['optimizer']['param_groups'].pop()


def no_groups(checkpoint):
    checkpoint['optimizer']['param_groups'] = [1, 2]


@pytest.mark.parametrize('change, says', [
    (without('optimizer'), 'state of the optimizer'),
    (empty_optimizer, 'state of the optimizer'),
    (one_group_less, 'state of the optimizer'),
    (no_groups, 'state of the optimizer'),
    (without('meta'), 'epoch and iteration'), (without('message_hub'), 'logged values')])
def test_resuming_needs_the_state_of_the_training(run_tool, toy_config, make_checkpoint, capsys,
                                                  tmp_path, change, says):
    path = make_checkpoint(run_tool, toy_config, change)
    assert f'{path} cannot be resumed, because it lacks {says};' in refusal(
        run_tool, capsys, 'train.py', toy_config, '--resume', path,
        '--work-dir', tmp_path / 'work')


def test_an_optimizer_that_remembers_nothing_is_not_resumed(
        run_tool, toy_config, make_checkpoint, capsys, tmp_path):
    """Plain SGD has nothing to remember, SGD with momentum and Adam have."""
    path = make_checkpoint(run_tool, toy_config)
    assert not torch.load(path, weights_only=True)['optimizer']['state']
    args = ('train.py', toy_config, '--resume', path, '--work-dir', tmp_path / 'work')
    run_tool(*args)
    assert 'lacks state of the optimizer;' in refusal(
        run_tool, capsys, *args, '--cfg-options', 'optim_wrapper.optimizer.momentum=0.9')
    with toy_config.open('a') as config:
        config.write("param_scheduler = dict(type='MultiStepLR', milestones=[9])\n"
                     "optim_wrapper['optimizer'] = dict(type='Adam', weight_decay=0.)\n")
    assert 'lacks state of the optimizer, state of the schedules;' in refusal(
        run_tool, capsys, *args)


@pytest.mark.parametrize(('change', 'says'), [
    (lambda averaged: averaged | {'module.head.fc.weight': torch.ones(3, 32)},
     '(weights of the EMAHook) does not fit the model: 1 misshapen (head.fc.weight: (3, 32)'),
    (lambda averaged: [1], '(weights of the EMAHook) holds no weights'),
])
def test_averaged_weights_have_to_fit_as_well(run_tool, toy_config, tmp_path, change, says):
    with toy_config.open('a') as config:
        config.write("default_hooks = dict(ema=dict(type='EMAHook'))\n")
    args = 'train.py', toy_config, '--work-dir', tmp_path / 'work', '--no-validate'
    run_tool(*args)
    path = tmp_path / 'work' / 'epoch_1.pth'
    checkpoint = torch.load(path, weights_only=True)
    checkpoint['ema_state_dict'] = change(checkpoint['ema_state_dict'])
    torch.save(checkpoint, path)
    assert says in run_tool.error(*args, '--resume')


def test_what_fits_is_tested_without_a_word(run_tool, toy_config, make_checkpoint, capsys,
                                            tmp_path):
    path = make_checkpoint(run_tool, toy_config)
    capsys.readouterr()
    run_tool('test.py', toy_config, path, '--work-dir', tmp_path / 'work',
             '--out', tmp_path / 'metrics.json')
    assert 'accuracy/top1' in json.loads((tmp_path / 'metrics.json').read_text())
    assert 'Not all weights' not in capsys.readouterr().out
