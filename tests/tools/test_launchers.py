"""The shell scripts, on two gloo processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

TOOLS = Path(__file__).parents[2] / 'tools'
LIMIT = 300  # seconds for a job

# Slurm's commands, as far as slurm_train.sh needs them: two tasks on this machine.
SRUN = """#!/usr/bin/env bash
echo "srun $*"
while [[ $1 == --* ]]; do shift; done
export SLURM_NTASKS=2 SLURM_NODELIST=here
for rank in 0 1; do SLURM_PROCID=$rank SLURM_LOCALID=$rank "$@" & pids+=($!); done
wait "${pids[0]}" && wait "${pids[1]}"
"""
SCONTROL = """#!/usr/bin/env bash
[[ $* == 'show hostnames here' ]] && echo localhost
"""


@pytest.fixture
def environment(tmp_path):
    """What all processes of a test share, and no others: PYTHONPATH names the test's folder."""
    return os.environ | {
        'PATH': f'{tmp_path / "bin"}:{os.environ["PATH"]}',
        'PYTHONPATH': f'{TOOLS.parent}:{tmp_path}',
        'CUDA_VISIBLE_DEVICES': '',
    }


@pytest.fixture
def kill_all(environment):
    """Kills the processes that a test has started and that still run, stopped ones included.

    Ranks are in sessions of their own, and outlive a launcher that is killed.
    """
    mark = f'PYTHONPATH={environment["PYTHONPATH"]}'.encode()

    def kill_all():
        for process in Path('/proc').glob('[0-9]*'):
            with suppress(OSError):
                if mark in (process / 'environ').read_bytes().split(b'\0'):
                    os.kill(int(process.name), signal.SIGKILL)

    return kill_all


@pytest.fixture
def start(tmp_path, environment, kill_all):
    """Starts a script of tools/ with this interpreter as ``python``, its output in one pipe."""
    commands = tmp_path / 'bin'
    commands.mkdir()
    python = f'#!/usr/bin/env bash\nexec {sys.executable} "$@"\n'
    for name, text in {'python': python, 'srun': SRUN, 'scontrol': SCONTROL}.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)

    with ExitStack() as jobs:
        def start(script, *args, **variables):
            return jobs.enter_context(subprocess.Popen(
                ['bash', TOOLS / script, *map(str, args)], env=environment | variables,
                cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))

        yield start
        kill_all()


@pytest.fixture
def run(start):
    """Runs a script to its end; gives its output.

    gloo now and then aborts on leaving, so tests look at what was done instead of the exit code.
    """
    return lambda script, *args, **variables: start(
        script, *args, **variables).communicate(timeout=LIMIT)[0]


HOOK = """
import os, signal
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

@HOOKS.register_module()
class SignalOnce(Hook):
    def before_train_iter(self, runner, *args, **kwargs):
        attempt = os.environ['TORCHELASTIC_RESTART_COUNT'], os.environ['RANK'], runner.iter
        if attempt == ('0', '1', {iteration}):
            print('signals', os.getpid(), flush=True)
            os.kill(os.getpid(), signal.{signal})
"""


def send_in_training(config, name, iteration, settings):
    """Rank 1 sends itself a signal as an iteration begins, in the first attempt only."""
    config.with_name('signal_once.py').write_text(HOOK.format(signal=name, iteration=iteration))
    with config.open('a') as file:
        file.write("custom_imports = dict(imports=['signal_once'])\n"
                   f"custom_hooks = [dict(type='SignalOnce')]\n{settings}\n")


def test_dist_train_restarts_and_dist_test(run, toy_config, tmp_path):
    # as the third of four iterations begins
    send_in_training(toy_config, 'SIGKILL', 2, "train_cfg['max_epochs'] = 2")
    output = run('dist_train.sh', toy_config, 2, '--work-dir', tmp_path / 'work', '--resume',
                 MAX_RESTARTS='1')
    checkpoint = tmp_path / 'work' / 'epoch_2.pth'
    assert checkpoint.is_file(), output
    assert 'on 2 x CPU' in output and 'Epoch(train) [1][2/2]' in output
    assert 'resumed epoch: 1, iter: 2' in output and output.count('Epoch(train) [2][2/2]') == 1

    with socket.create_server(('', 0)) as free:
        port = str(free.getsockname()[1])
    out = tmp_path / 'metrics.json'
    output = run('dist_test.sh', toy_config, checkpoint, 2, '--out', out, PORT=port)
    assert out.is_file(), output
    assert list(json.loads(out.read_text())) == ['accuracy/top1', 'protocol']


def test_the_last_line_names_a_rank_that_was_stopped(start, kill_all, toy_config):
    send_in_training(toy_config, 'SIGSTOP', 1,
                     "env_cfg = dict(dist_cfg=dict(timeout=10))")
    job, lines, stopped = start('dist_train.sh', toy_config, 2, '--no-validate'), [], None
    limit = threading.Timer(LIMIT, kill_all)
    limit.daemon = True
    limit.start()
    for line in job.stdout:
        lines.append(line)
        if line.startswith('signals '):
            stopped = int(line.split()[1])
        elif 'has not responded' in line and stopped:
            # else the launcher waits 30 s for it to end, and then kills it
            os.kill(stopped, signal.SIGCONT)
            stopped = None
    limit.cancel()
    assert job.wait(timeout=60) == 1
    assert lines[-1] == ('error: rank 1 has not responded in time; check its machine and its '
                         'log, and continue with --resume.\n'), lines


def test_dist_infer_and_its_mistakes(run, toy_config, tmp_path):
    config = tmp_path / 'cam.py'
    config.write_text(f"_base_ = '{toy_config}'\nmodel = dict(neck=None, head=dict(\n"
                      "    _delete_=True, type='CAMHead', num_classes=2, in_channels=32))\n")
    model = MODELS.build(dict(Config.fromfile(config).model, _scope_='mmpretrain'))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'epoch_1.pth')
    command = 'dist_infer.sh', config, tmp_path / 'epoch_1.pth', 2
    output = run(*command, 'images', '--out', 'out', '--batch-size', '2', '--workers', '1')
    assert '7 of 7 images localized, 7 of 7 images drawn' in output, output
    assert len(json.loads((tmp_path / 'out' / 'predictions.json').read_text())) == 7

    output = run(*command, 'images/*.bmp', '--out', 'out')
    assert "error: 'images/*.bmp': no file matches it" in output, output
    assert 'Traceback' not in output, output


def test_slurm_train_without_gpus(run, toy_config, tmp_path):
    output = run('slurm_train.sh', 'part', 'job', toy_config, '--work-dir', tmp_path / 'work',
                 GPUS='2', GPUS_PER_NODE='2', GRES='', SRUN_ARGS='--time=1 --quiet')
    assert '--partition=part --job-name=job --ntasks=2 --ntasks-per-node=2' in output
    assert '--gres' not in output and '--time=1 --quiet python' in output
    assert 'on 2 x CPU' in output and (tmp_path / 'work' / 'epoch_1.pth').is_file(), output


@pytest.mark.parametrize(
    ('script', 'args', 'missing'),
    [
        ('dist_train.sh', ['config.py'], 'the number of GPUs is missing'),
        ('dist_test.sh', ['config.py'], 'the checkpoint is missing'),
        ('dist_infer.sh', ['config.py', 'epoch_1.pth', '2'], 'the paths are missing'),
        ('slurm_train.sh', ['part', 'job'], 'the config is missing'),
    ],
)
def test_missing_arguments_are_named(run, script, args, missing):
    assert missing in run(script, *args)
