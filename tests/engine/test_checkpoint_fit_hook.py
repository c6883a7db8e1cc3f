"""Checkpoints of another model, or of no training, given to the command lines."""
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


def other_class_count(checkpoint):
    checkpoint['state_dict']['head.fc.weight'] = torch.ones(3, 32)


def without_head(checkpoint):
    del checkpoint['state_dict']['head.fc.weight']


def empty(checkpoint):
    checkpoint['state_dict'].clear()


def not_finite(checkpoint):
    checkpoint['state_dict']['head.fc.bias'][0] = float('nan')


def without(part):
    return lambda checkpoint: checkpoint.pop(part)


def empty_optimizer(checkpoint):
    checkpoint['optimizer'] = {}


def no_groups(checkpoint):
    checkpoint['optimizer']['param_groups'] = [1, 2]


TEST, RESUME, START = ['test.py', '{}'], ['train.py', '--resume', '{}'], [
    'train.py', '--cfg-options', 'load_from={}']


@pytest.mark.parametrize('how, change, says', [
    (TEST, other_class_count, '1 misshapen (head.fc.weight: (3, 32) instead of (2, 32))'),
    (TEST, not_finite, '1 of 2 values of head.fc.bias in the checkpoint'),
    (RESUME, without_head, '1 missing (head.fc.weight)'),
    (START, empty, 'is of another network'),
    *((RESUME, change, f'cannot be resumed, because it lacks {says};') for change, says in (
        (without('optimizer'), 'state of the optimizer'),
        (empty_optimizer, 'state of the optimizer'), (no_groups, 'state of the optimizer'),
        (without('meta'), 'epoch and iteration'), (without('message_hub'), 'logged values'))),
])
def test_what_does_not_fit_is_refused(run_tool, toy_config, make_checkpoint, capsys, tmp_path,
                                      how, change, says):
    path = make_checkpoint(run_tool, toy_config, change)
    script, *args = [text.format(path) for text in how]
    message = run_tool.error(script, toy_config, *args, '--work-dir', tmp_path / 'work')
    assert says in message and str(path) in message
    assert 'accuracy/top1' not in capsys.readouterr().out


def test_another_head_is_trained_and_said(run_tool, toy_config, make_checkpoint, capsys, tmp_path):
    path = make_checkpoint(run_tool, toy_config, other_class_count)
    run_tool('train.py', toy_config, '--work-dir', tmp_path / 'work', '--no-validate',
             '--cfg-options', f'load_from={path}')
    assert (f'Not all weights were loaded from {path}; the others keep their initialization: 1 '
            in capsys.readouterr().out)


def test_an_optimizer_that_remembers_nothing_is_not_resumed(
        run_tool, toy_config, make_checkpoint, tmp_path):
    """Plain SGD has nothing to remember, SGD with momentum and Adam have."""
    path = make_checkpoint(run_tool, toy_config)
    assert not torch.load(path, weights_only=True)['optimizer']['state']
    args = ('train.py', toy_config, '--resume', path, '--work-dir', tmp_path / 'work')
    run_tool(*args)
    assert 'lacks state of the optimizer;' in run_tool.error(
        *args, '--cfg-options', 'optim_wrapper.optimizer.momentum=0.9')
    with toy_config.open('a') as config:
        config.write("param_scheduler = dict(type='MultiStepLR', milestones=[9])\n"
                     "optim_wrapper['optimizer'] = dict(type='Adam', weight_decay=0.)\n")
    assert 'lacks state of the optimizer, state of the schedules;' in run_tool.error(*args)


def test_averaged_weights_have_to_fit_as_well(run_tool, toy_config, tmp_path):
    with toy_config.open('a') as config:
        config.write("default_hooks = dict(ema=dict(type='EMAHook'))\n")
    args = 'train.py', toy_config, '--work-dir', tmp_path / 'work', '--no-validate'
    run_tool(*args)
    path = tmp_path / 'work' / 'epoch_1.pth'
    checkpoint = torch.load(path, weights_only=True)
    for averaged, says in (
            ([1], '(weights of the EMAHook) holds no weights'),
            ({'module.head.fc.weight': torch.ones(3, 32)}, 'does not fit the model: ')):
        torch.save(dict(checkpoint, ema_state_dict=averaged), path)
        assert says in run_tool.error(*args, '--resume')


def test_what_fits_is_tested_without_a_word(run_tool, toy_config, make_checkpoint, capsys,
                                            tmp_path):
    path = make_checkpoint(run_tool, toy_config)
    run_tool('test.py', toy_config, path, '--work-dir', tmp_path / 'work')
    output = capsys.readouterr().out
    assert 'accuracy/top1' in output and 'Not all weights' not in output
