"""Jobs of submitit's local executor, which needs no cluster."""
import os
import sys
from functools import partial

import pytest

from cicam_mm.sweep.processes import run_all
from cicam_mm.sweep.runs import Run
from cicam_mm.sweep.slurm import JobStarter
from cicam_mm.utils.errors import UserError


def test_jobs_and_their_errors(tmp_path):
    good, bad = (Run(name, 'a.py', {}, 0, tmp_path / name) for name in ('good', 'bad'))
    starter = JobStarter(tmp_path / 'slurm', dict(timeout_min=5, gpus_per_node=0), cluster='local')
    work = {good: partial(print, 'at work'), bad: partial(os.mkdir, str(tmp_path))}
    errors = {outcome.run: outcome.error for outcome in run_all(work, 2, starter)}
    assert errors == {good: None, bad: f'error: {tmp_path}: File exists'}
    assert 'at work' in (good.folder / 'console.log').read_text()


def test_without_a_cluster_or_submitit(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="Parameter 'speed' need to be prefixed"):
        JobStarter(tmp_path, dict(speed=1), cluster='local')
    monkeypatch.setenv('PATH', '')
    with pytest.raises(UserError, match='Could not detect "srun"'):
        JobStarter(tmp_path, {})
    monkeypatch.setitem(sys.modules, 'submitit', None)
    with pytest.raises(UserError, match=r"needs submitit: `pip install 'cicam_mm\[slurm\]'`"):
        JobStarter(tmp_path, {})
