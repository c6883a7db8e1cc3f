"""train.py and test.py, run inside this process."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch, tmp_path):
    (tmp_path / 'cwd').mkdir()
    monkeypatch.chdir(tmp_path / 'cwd')


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
def test_mistakes_end_in_one_sentence(run_tool, toy_config, args, sentence):
    assert sentence in run_tool.error(*(toy_config if arg == 'TOY' else arg for arg in args))


def test_syntax_error_of_a_config_is_named(run_tool, toy_config):
    toy_config.write_text('model = dict(\n')
    assert f'cannot read the config {toy_config}' in run_tool.error('train.py', toy_config)


def test_train_resume_and_test(run_tool, toy_config, capsys):
    options = ('--cfg-options', 'train_cfg.max_epochs=2', 'train_dataloader.num_workers=1')
    run_tool('train.py', toy_config, '--cfg-options', 'optim_wrapper.optimizer.lr=0.02')
    work_dir = Path('work_dirs/toy')
    assert Config.fromfile(work_dir / 'toy.py').optim_wrapper.optimizer.lr == 0.02

    run_tool('train.py', toy_config, '--resume', *options)
    assert 'resumed epoch: 1' in capsys.readouterr().out
    assert torch.load(work_dir / 'epoch_2.pth')['meta']['epoch'] == 2

    run_tool('test.py', toy_config, work_dir / 'epoch_2.pth', '--out', 'results/metrics.json')
    metrics = json.loads(Path('results/metrics.json').read_text())
    assert list(metrics) == ['accuracy/top1', 'protocol']
    assert f'{metrics["accuracy/top1"]:.2f}' in capsys.readouterr().out.split('Test ')[-1]


def test_no_validate(run_tool, toy_config, capsys):
    run_tool('train.py', toy_config, '--no-validate', '--work-dir', 'elsewhere')
    assert 'Epoch(val)' not in capsys.readouterr().out
    assert Path('elsewhere/epoch_1.pth').is_file()


def test_resume_passes_over_a_damaged_checkpoint(run_tool, toy_config, capsys):
    options = '--cfg-options', 'train_cfg.max_epochs=2'
    run_tool('train.py', toy_config, *options)
    last = Path('work_dirs/toy/epoch_2.pth')
    last.write_bytes(last.read_bytes()[:-1000])
    capsys.readouterr()
    run_tool('train.py', toy_config, '--resume', *options)
    output = capsys.readouterr().out
    assert 'epoch_2.pth is skipped: it is cut off' in output and 'resumed epoch: 1' in output
    assert torch.load(last)['meta']['epoch'] == 2


def test_refused_checkpoint_is_one_sentence(run_tool, toy_config):
    torch.save(dict(state_dict={}, meta=print), 'hostile.pth')
    assert run_tool.error('test.py', toy_config, 'hostile.pth') == (
        'The checkpoint hostile.pth is refused: beside tensors and plain values it holds '
        'print, which could run any code while it is loaded.')
