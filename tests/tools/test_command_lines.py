"""train.py and test.py, run inside this process."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a script of tools/ in an empty folder, as its command line would."""

    def run(script, *args):
        monkeypatch.setattr(sys, 'argv', [script, *map(str, args)])
        runpy.run_path(str(TOOLS / script), run_name='__main__')

    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.setenv('LOCAL_RANK', '0')
    (tmp_path / 'cwd').mkdir()
    monkeypatch.chdir(tmp_path / 'cwd')
    return run


@pytest.mark.parametrize(
    ('args', 'sentence'),
    [
        (('train.py', 'no.py'), 'cannot read the config no.py'),
        (('test.py', 'no.py', 'no.pth'), 'cannot read the config no.py'),
        (('test.py', 'TOY', 'no.pth'), 'the checkpoint no.pth does not exist'),
        (('train.py', 'TOY', '--resume', 'no.pth'), 'the checkpoint no.pth does not exist'),
        (('train.py', 'TOY', '--auto-scale-lr'), '--auto-scale-lr needs `auto_scale_lr`'),
    ],
)
def test_mistakes_end_in_one_sentence(run, toy_config, args, sentence):
    with pytest.raises(SystemExit) as leaves:
        run(*(toy_config if arg == 'TOY' else arg for arg in args))
    message = leaves.value.code
    assert message.startswith('error: ') and sentence in message and '\n' not in message


def test_syntax_error_of_a_config_is_named(run, toy_config):
    toy_config.write_text('model = dict(\n')
    with pytest.raises(SystemExit, match='cannot read the config .*toy.py'):
        run('train.py', toy_config)


def test_train_resume_and_test(run, toy_config, capsys):
    options = ('--cfg-options', 'train_cfg.max_epochs=2', 'train_dataloader.num_workers=1')
    run('train.py', toy_config, '--cfg-options', 'optim_wrapper.optimizer.lr=0.02')
    work_dir = Path('work_dirs/toy')
    assert Config.fromfile(work_dir / 'toy.py').optim_wrapper.optimizer.lr == 0.02

    run('train.py', toy_config, '--resume', *options)
    assert 'resumed epoch: 1' in capsys.readouterr().out
    assert torch.load(work_dir / 'epoch_2.pth')['meta']['epoch'] == 2

    run('test.py', toy_config, work_dir / 'epoch_2.pth', '--out', 'results/metrics.json')
    metrics = json.loads(Path('results/metrics.json').read_text())
    assert list(metrics) == ['accuracy/top1', 'protocol']
    assert f'{metrics["accuracy/top1"]:.2f}' in capsys.readouterr().out.split('Test ')[-1]


def test_no_validate(run, toy_config, capsys):
    run('train.py', toy_config, '--no-validate', '--work-dir', 'elsewhere')
    assert 'Epoch(val)' not in capsys.readouterr().out
    assert Path('elsewhere/epoch_1.pth').is_file()


def test_resume_passes_over_a_damaged_checkpoint(run, toy_config, capsys):
    options = '--cfg-options', 'train_cfg.max_epochs=2'
    run('train.py', toy_config, *options)
    last = Path('work_dirs/toy/epoch_2.pth')
    last.write_bytes(last.read_bytes()[:-1000])
    capsys.readouterr()
    run('train.py', toy_config, '--resume', *options)
    output = capsys.readouterr().out
    assert 'epoch_2.pth is skipped: it is cut off' in output and 'resumed epoch: 1' in output
    assert torch.load(last)['meta']['epoch'] == 2


def test_refused_checkpoint_is_one_sentence(run, toy_config):
    torch.save(dict(state_dict={}, meta=print), 'hostile.pth')
    with pytest.raises(SystemExit) as leaves:
        run('test.py', toy_config, 'hostile.pth')
    assert leaves.value.code == (
        'error: The checkpoint hostile.pth is refused: beside tensors and plain values it holds '
        'print, which could run any code while it is loaded.')
