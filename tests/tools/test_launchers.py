"""The shell scripts: what they start, and jobs of two processes."""
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'
ECHO = '#!/usr/bin/env bash\necho "{name} $*"\n'
HOOK = '''
import os, signal
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

@HOOKS.register_module()
class KillOnce(Hook):
    """Rank 1 ends as the third of four iterations begins, in the first attempt only."""

    def before_train_iter(self, runner, *args, **kwargs):
        attempt = os.environ['TORCHELASTIC_RESTART_COUNT'], os.environ['RANK']
        if attempt == ('0', '1') and runner.iter == 2:
            os.kill(os.getpid(), signal.SIGKILL)
'''


@pytest.fixture
def run(tmp_path):
    """Runs a script of tools/ with a command in place of ``python`` and ``srun``; its output."""
    environment = os.environ | {
        'PATH': f'{tmp_path / "bin"}:{os.environ["PATH"]}', 'CUDA_VISIBLE_DEVICES': '',
        'PYTHONPATH': f'{TOOLS.parent}:{tmp_path}'}  # marks the processes of this test

    def run(script, *args, python=ECHO, **variables):
        (tmp_path / 'bin').mkdir()
        for name, text in {'python': python, 'srun': ECHO}.items():
            (tmp_path / 'bin' / name).write_text(text.format(name=name))
            (tmp_path / 'bin' / name).chmod(0o755)
        return subprocess.run(
            ['bash', TOOLS / script, *map(str, args)], env=environment | variables, timeout=300,
            cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    yield run
    # ranks are in sessions of their own, and outlive a launcher that is killed
    mark = f'PYTHONPATH={environment["PYTHONPATH"]}'.encode()
    for process in Path('/proc').glob('[0-9]*'):
        with suppress(OSError):
            if mark in (process / 'environ').read_bytes().split(b'\0'):
                os.kill(int(process.name), signal.SIGKILL)


@pytest.mark.parametrize(('command', 'variables', 'started'), [
    ('dist_train.sh a.py 8 --amp', {}, '--rdzv-backend=c10d --rdzv-endpoint=localhost:0 '
     '--max-restarts=0 --nproc-per-node=8 TOOLS/train.py a.py --amp --launcher pytorch'),
    ('dist_test.sh a.py b.pth 2 --out c', dict(PORT='29'), '--rdzv-endpoint=localhost:29 '
     '--max-restarts=0 --nproc-per-node=2 TOOLS/test.py a.py b.pth --out c --launcher pytorch'),
    ('dist_infer.sh a.py b.pth 2 in --out c', dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='here'),
     '--nnodes=2 --node-rank=1 --master-addr=here --master-port=29500 --nproc-per-node=2 '
     'TOOLS/infer.py in --out c --config a.py --checkpoint b.pth --launcher pytorch'),
    ('slurm_train.sh part job a.py --amp', dict(GPUS='2', GPUS_PER_NODE='1', SRUN_ARGS='-t 1'),
     'srun --partition=part --job-name=job --gres=gpu:1 --ntasks=2 --ntasks-per-node=1 '
     '--cpus-per-task=5 --kill-on-bad-exit=1 -t 1 python -u TOOLS/train.py a.py '
     '--launcher slurm --amp'),
    ('slurm_train.sh part job a.py', dict(GRES=''), '--job-name=job --ntasks=8'),
    ('dist_train.sh a.py', {}, 'use it as dist_train.sh CONFIG GPUS '),
    ('dist_test.sh a.py', {}, 'use it as dist_test.sh CONFIG CHECKPOINT GPUS '),
    ('dist_infer.sh a.py b.pth 2', {}, 'use it as dist_infer.sh CONFIG CHECKPOINT GPUS PATHS'),
    ('slurm_train.sh part job', {}, 'use it as slurm_train.sh PARTITION JOB_NAME CONFIG '),
])
def test_what_is_started(run, command, variables, started):
    assert started.replace('TOOLS', str(TOOLS)) in run(*command.split(), **variables)


def test_dist_train_restarts(run, toy_config, tmp_path):
    toy_config.with_name('kill_once.py').write_text(HOOK)
    with toy_config.open('a') as file:
        file.write("custom_imports = dict(imports=['kill_once'])\n"
                   "custom_hooks = [dict(type='KillOnce')]\ntrain_cfg['max_epochs'] = 2\n")
    # gloo now and then aborts on leaving, so the exit code does not count
    output = run('dist_train.sh', toy_config, 2, '--work-dir', tmp_path / 'work', '--resume',
                 python=f'#!/usr/bin/env bash\nexec {sys.executable} "$@"\n', MAX_RESTARTS='1')
    assert (tmp_path / 'work' / 'epoch_2.pth').is_file(), output
    assert 'on 2 x CPU' in output and 'Epoch(train) [1][2/2]' in output
    assert 'resumed epoch: 1, iter: 2' in output and output.count('Epoch(train) [2][2/2]') == 1


def test_tasks_of_slurm_train_together(run_tool, toy_config, tmp_path, monkeypatch):
    """Two tasks of a job, whose scontrol names this machine."""
    scontrol = tmp_path / 'scontrol'
    scontrol.write_text("#!/usr/bin/env bash\n[[ $* == 'show hostnames here' ]] && echo localhost")
    scontrol.chmod(0o755)
    monkeypatch.syspath_prepend(str(tmp_path))
    with socket.create_server(('', 0)) as free:
        port = str(free.getsockname()[1])

    def task(rank):
        for name, value in dict(
                SLURM_PROCID=rank, SLURM_LOCALID=rank, SLURM_NTASKS='2', SLURM_NODELIST='here',
                MASTER_PORT=port, PATH=f'{tmp_path}:{os.environ["PATH"]}').items():
            monkeypatch.setenv(name, value)
        return run_tool.start('train.py', toy_config, '--work-dir', tmp_path / 'work',
                              '--launcher', 'slurm')

    first, second = task('0'), task('1')
    output = first.communicate()[0]
    second.communicate()
    assert 'on 2 x CPU' in output and (tmp_path / 'work' / 'epoch_1.pth').is_file(), output
