from pathlib import Path

import pytest

from cicam_mm.sweep.runs import plan_runs
from cicam_mm.utils.errors import UserError

METHODS = {'CAM': 'configs/cam.py', 'CI-CAM': 'configs/cicam.py'}
GRID = {'model.head.pool.update_rate': ['0.01', '0.02'], 'lr': ['1e-3']}


def test_every_combination_seed_by_seed():
    runs = plan_runs(METHODS, GRID, [3, 1], Path('out'))
    rate = 'model.head.pool.update_rate'
    assert [(run.method, run.options[rate], run.seed) for run in runs] == [
        ('CAM', '0.01', 3), ('CAM', '0.02', 3), ('CI-CAM', '0.01', 3), ('CI-CAM', '0.02', 3),
        ('CAM', '0.01', 1), ('CAM', '0.02', 1), ('CI-CAM', '0.01', 1), ('CI-CAM', '0.02', 1)]
    assert runs[3].config == 'configs/cicam.py'
    assert runs[3].name == 'CI-CAM, update_rate=0.02, lr=1e-3, seed 3'
    assert runs[3].folder == Path('out/CI-CAM/model.head.pool.update_rate=0.02/lr=1e-3/seed_3')


def test_labels_and_values_are_no_paths():
    run, = plan_runs({'../a b': 'a.py'}, {'size': ['(1, /2)']}, [0], Path('out'))
    assert run.folder == Path('out/.._a_b/size=_1___2_/seed_0')


def test_without_options_a_folder_a_method():
    assert [run.folder for run in plan_runs(METHODS, {}, [0], Path('out'))] == [
        Path('out/CAM/seed_0'), Path('out/CI-CAM/seed_0')]


def test_equal_runs_are_refused():
    with pytest.raises(UserError, match='two runs of the sweep are the same'):
        plan_runs(METHODS, {}, [0, 1, 0], Path('out'))
