"""Checkpoints of another model, or of no training, given to the command lines."""
import pytest
import torch

pytestmark = pytest.mark.stack


@pytest.fixture(scope='module')
def make_checkpoint(tmp_path_factory):
    """Changes the toy training's last checkpoint in some way; gives its path."""
    made = {}

    def make(run_tool, toy_config, change):
        if not made:
            work_dir = tmp_path_factory.mktemp('toy')
            run_tool('train.py', toy_config, '--work-dir', work_dir, '--no-validate')
            made['path'] = work_dir / 'epoch_1.pth'
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


def no_weights(checkpoint):
    checkpoint['state_dict'].clear()


def no_training(checkpoint):
    for part in 'meta', 'message_hub', 'optimizer':
        del checkpoint[part]


def unchanged(checkpoint):
    """Plain SGD has nothing to remember, SGD with momentum has."""
    assert not checkpoint['optimizer']['state']


TEST, RESUME = ['test.py', '{}'], ['train.py', '--resume', '{}']


@pytest.mark.parametrize('how, change, says', [
    (TEST, other_class_count, '1 misshapen (head.fc.weight: (3, 32) instead of (2, 32))'),
    (RESUME, without_head, '1 missing (head.fc.weight)'),
    (['train.py', '--cfg-options', 'load_from={}'], no_weights, 'is of another network'),
    (RESUME, no_training, 'cannot be resumed, because it lacks epoch and iteration, logged '
     'values, state of the optimizer;'),
    ([*RESUME, '--cfg-options', 'optim_wrapper.optimizer.momentum=0.9'], unchanged,
     'lacks state of the optimizer;'),
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


def test_averaged_weights_have_to_fit_as_well(run_tool, toy_config, tmp_path):
    with toy_config.open('a') as config:
        config.write("default_hooks = dict(ema=dict(type='EMAHook'))\n")
    args = 'train.py', toy_config, '--work-dir', tmp_path / 'work', '--no-validate'
    run_tool(*args)
    path = tmp_path / 'work' / 'epoch_1.pth'
    averaged = {'module.head.fc.weight': torch.ones(3, 32)}
    torch.save(dict(torch.load(path, weights_only=True), ema_state_dict=averaged), path)
    assert '(weights of the EMAHook) does not fit the model: ' in run_tool.error(*args, '--resume')
