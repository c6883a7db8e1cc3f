"""Jobs of submitit's local executor, which needs no cluster."""
import os
import sys

import pytest

from cicam_mm.sweep.processes import run_all
from cicam_mm.sweep.runs import Run
from cicam_mm.sweep.slurm import JobStarter
from cicam_mm.utils.errors import UserError


def test_a_job_and_its_error(tmp_path):
    def work():
        print('at work')
        os.mkdir(tmp_path)

    run = Run('bad', 'a.py', {}, 0, tmp_path / 'bad')
    starter = JobStarter(tmp_path / 'slurm', dict(timeout_min=5, gpus_per_node=0), cluster='local')
    outcome, = run_all({run: work}, 1, starter)
    assert outcome.error == f'error: {tmp_path}: File exists'
    assert (run.folder / 'console.log').read_text().startswith('at work')


def test_without_a_cluster_or_submitit(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="Parameter 'speed' need to be prefixed"):
        JobStarter(tmp_path, dict(speed=1), cluster='local')
    monkeypatch.setenv('PATH', '')
    with pytest.raises(UserError, match='Could not detect "srun"'):
        JobStarter(tmp_path, {})
    monkeypatch.setitem(sys.modules, 'submitit', None)
    with pytest.raises(UserError, match=r"needs submitit: `pip install 'cicam_mm\[slurm\]'`"):
        JobStarter(tmp_path, {})
