"""train.py and test.py, run inside this process."""

import json
import signal
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from cicam_mm.utils.errors import UserError

pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch, tmp_path):
    (tmp_path / 'cwd').mkdir()
    monkeypatch.chdir(tmp_path / 'cwd')
    Path('file').touch()


@pytest.mark.parametrize(('command', 'sentence'), [
    ('train.py no.py', 'cannot read the config no.py'),
    ('test.py TOY no.pth', 'the checkpoint no.pth does not exist'),
    ('train.py TOY --resume no.pth', 'the checkpoint no.pth does not exist'),
    ('train.py TOY --resume /dev/zero', '/dev/zero is not a regular file'),
    ('test.py TOY .', '. is not a regular file but a folder, pipe or device'),
    ('test.py TOY no.pth --out .', '. is a folder; name a file in it'),
    ('test.py TOY no.pth --out file/x', 'file/x cannot be written: '),
    ('test.py TOY no.pth --dump file', 'file is a file; name a folder'),
    ('report.py . --device banana', "there is no device 'banana' to compute on: "),
    ('report.py . --device cuda', "there is no device 'cuda' to compute on: "),
    ('report.py . --device meta', "there is no device 'meta' to compute on: "),
    ('test.py work --theta .2', 'cannot read the config work'),
    ('train.py TOY --auto-scale-lr', '--auto-scale-lr needs `auto_scale_lr`'),
    ('train.py TOY --amp', 'only available training on gpu'),
    ('train.py TOY --launcher pytorch', "launcher 'pytorch' did not start this process, because "
     'RANK, WORLD_SIZE, MASTER_ADDR is not set; start it with tools/dist_train.sh'),
    ('train.py TOY --work-dir file/new', 'file/new cannot be written: Not a dir'),
    ('train.py TOY --cfg-options model.head.type=LinearHead',
     'the setting model.head.type does not exist: there is no LinearHead; did you mean Line'),
    ('train.py TOY --cfg-options model.backbone.dept=1',
     'the setting model.backbone.dept does not exist: ResNet has no dept; did you mean d'),
])
def test_mistakes_end_in_one_sentence(run_tool, toy_config, command, sentence):
    assert sentence in run_tool.error(*command.replace('TOY', str(toy_config)).split())


@pytest.mark.parametrize(('command', 'sentence'), [
    (['train.py', 'a.py', '--cfg-options', 'foo'], "--cfg-options: takes KEY=VALUE, not 'foo'"),
    (['sweep.py', 'a.py', '--slurm', 'x'], "--slurm: takes KEY=VALUE, not 'x'"),
    (['report.py', '.', '--images', '0'], "--images: '0' is not a positive integer"),
    (['infer.py', '.', '--batch-size', '9' * 30], 'is not a positive integer'),
    (['infer.py', '.', '--batch-size', '\u0663'], 'is not a positive integer'),
    (['infer.py', '.', '--pictures', 'few'], "--pictures: 'few' is not a positive integer"),
    (['infer.py', '.', '--min-score', 'nan'], '--min-score: nan is not in [0, 1)'),
    (['compare.py', ''], 'is not [NAME=]CONFIG:CHECKPOINT or [NAME=]WORK_DIR'),
    (['compare.py', 'a', '--chosen', '1-3'], "'1-3' is not a list such as 0,5,7"),
    (['compare.py', 'a', '--chosen', '\u0661'], 'is not a list such as 0,5,7'),
    (['compare.py', 'a', '--chosen', '9' * 5000], 'is not a list such as 0,5,7'),
    (['compare.py', 'a', '--random', '-1'], "--random: '-1' is not a positive integer"),
])
def test_mistakes_in_arguments(run_tool, command, sentence, capsys):
    with pytest.raises(SystemExit) as leaves:
        run_tool(*command)
    assert leaves.value.code == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(('code', 'sentence'), [
    ('model = dict(\n', "SyntaxError: '(' was never closed"),
    ('model = foo\n', "NameError: name 'foo' is not defined"),
    ("_base_ = 'no.py'\n", 'no.py'),
])
def test_a_config_that_cannot_be_read(run_tool, toy_config, code, sentence):
    toy_config.write_text(code)
    message = run_tool.error('train.py', toy_config)
    assert f'cannot read the config {toy_config}' in message and sentence in message


def test_debug_shows_where(run_tool):
    with pytest.raises(UserError) as error:
        run_tool('train.py', 'no.py', '--debug')
    assert isinstance(error.value.__cause__, FileNotFoundError)


def test_two_trainings_do_not_share_a_work_directory(run_tool, toy_config):
    """SIGSTOP keeps one in its middle, SIGINT ends it; what it held is free again."""
    options = '--work-dir', 'work', '--cfg-options', 'train_cfg.max_epochs=1000'
    first = run_tool.start('train.py', toy_config, *options)
    while not Path('work/last_checkpoint').exists():
        assert first.poll() is None, first.communicate()[0]
        time.sleep(.05)
    first.send_signal(signal.SIGSTOP)
    kept = Path('work/toy.py').read_bytes()
    assert f'work is in use by another training, process {first.pid} of ' in run_tool.error(
        'train.py', toy_config, '--work-dir', 'work', '--resume')
    assert Path('work/toy.py').read_bytes() == kept

    first.send_signal(signal.SIGINT)
    first.send_signal(signal.SIGCONT)
    output = first.communicate()[0]
    assert first.returncode == 130 and output.endswith('\ninterrupted\n')
    assert 'Traceback' not in output
    last = int(Path('work/last_checkpoint').read_text().split('epoch_')[1].split('.')[0])
    run_tool('train.py', toy_config, '--work-dir', 'work', '--resume', '--cfg-options',
             f'train_cfg.max_epochs={last}')


def test_a_work_directory_among_the_settings_is_the_one_that_is_locked(run_tool, toy_config):
    run_tool('train.py', toy_config, '--cfg-options', 'work_dir=own')
    assert {'.training.lock', 'epoch_1.pth', 'toy.py'} <= {path.name for path in Path(
        'own').iterdir()}
    assert not Path('work_dirs').exists()


def test_train_resume_and_test(run_tool, toy_config, capsys):
    """The second checkpoint is damaged, so training resumes from the first."""
    options = '--no-validate', '--cfg-options', 'optim_wrapper.optimizer.lr=0.02'
    two_epochs = *options, 'train_cfg.max_epochs=2'
    run_tool('train.py', toy_config, *two_epochs)
    work_dir = Path('work_dirs/toy')
    assert Config.fromfile(work_dir / 'toy.py').optim_wrapper.optimizer.lr == 0.02
    last = work_dir / 'epoch_2.pth'
    last.write_bytes(last.read_bytes()[:-1000])
    assert 'Epoch(val)' not in capsys.readouterr().out

    run_tool('train.py', toy_config, '--resume', *two_epochs)
    output = capsys.readouterr().out
    assert 'epoch_2.pth is skipped: it is truncated' in output and 'resumed epoch: 1' in output
    assert torch.load(last)['meta']['epoch'] == 2

    # a test leaves the training's config alone, which says that it was resumed
    kept, best = (work_dir / 'toy.py').read_bytes(), work_dir / 'best_loss_epoch_2.pth'
    torch.save(dict(state_dict=torch.load(last)['state_dict']), best)
    run_tool('test.py', work_dir, best)
    run_tool('test.py', toy_config, last, '--out', 'results/metrics.json')
    assert (work_dir / 'toy.py').read_bytes() == kept
    assert Config.fromfile(work_dir / 'toy.py').resume
    metrics = json.loads(Path('results/metrics.json').read_text())
    assert list(metrics) == ['accuracy/top1', 'protocol']
    assert f'{metrics["accuracy/top1"]:.2f}' in capsys.readouterr().out.split('Test ')[-1]
