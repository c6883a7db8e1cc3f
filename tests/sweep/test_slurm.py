"""Jobs of submitit without a cluster."""
import sys
from functools import partial

import pytest

from cicam_mm.sweep import slurm
from cicam_mm.sweep.processes import run_all
from cicam_mm.sweep.runs import Run
from cicam_mm.sweep.slurm import JobStarter
from cicam_mm.utils.errors import UserError


def test_a_job_and_its_error(tmp_path, monkeypatch):
    """By submitit's executor for debugging, which works in this process."""
    monkeypatch.setattr(slurm, 'do_logged', lambda work, folder: work())
    runs = {name: Run(name, 'a.py', {}, 0, tmp_path / name) for name in ('good', 'bad', 'worse')}
    work = dict(good=str, bad=partial(sys.exit, 'error: no disk'), worse=partial(int, 'x'))
    starter = JobStarter(tmp_path / 'slurm', dict(timeout_min=5, gpus_per_node=0), cluster='debug')
    outcomes = run_all({runs[name]: work[name] for name in runs}, 1, starter)
    assert [outcome.error for outcome in outcomes] == [
        None, 'error: no disk', "ValueError: invalid literal for int() with base 10: 'x'"]


def test_without_a_cluster_or_submitit(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="Parameter 'speed' need to be prefixed"):
        JobStarter(tmp_path, dict(speed=1), cluster='local')
    monkeypatch.setenv('PATH', '')
    with pytest.raises(UserError, match='Could not detect "srun"'):
        JobStarter(tmp_path, {})
    monkeypatch.setitem(sys.modules, 'submitit', None)
    with pytest.raises(UserError, match=r"needs submitit: `pip install 'cicam_mm\[slurm\]'`"):
        JobStarter(tmp_path, {})
