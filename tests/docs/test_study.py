"""The configs of docs/study/, CI-CAM but for one thing each, and the tables of their sweeps."""
import math
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from scipy.stats import t as student

STUDY = Path(__file__).parents[2] / 'docs' / 'study'
POOL = {
    'own': {}, 'other': dict(context='other'), 'mean': dict(context='mean'),
    'bump': dict(context='bump'), 'ones': dict(context='ones'), 'zeros': dict(context='zeros'),
    'no-bias': dict(bias=False), 'training-only': dict(test_context='zeros'),
    'testing-only': dict(context='zeros', test_context='own'), 'controlled': {},
}


def add_controls(cfg, name):
    if name != 'own':
        cfg['custom_imports']['imports'].append('controlled_pool')
        cfg['model']['head']['pool'] |= dict(type='ControlledPool', **POOL[name])


@pytest.mark.parametrize('name', [*POOL, 'none', 'one-branch', 'shared-column'])
def test_differs_from_cicam_in_one_thing(name):
    cicam = Config.fromfile(STUDY.parents[1] / 'configs' / 'cicam_tiny_shapes.py').to_dict()
    study = Config.fromfile(STUDY / f'{name}.py').to_dict()
    evaluators = study.pop('test_evaluator')
    assert [evaluator['type'] for evaluator in evaluators] == [
        'WSOLMetric', 'MaxBoxAcc', 'PxAP', 'LocalizationErrors']
    del cicam['test_evaluator']
    if name in POOL:
        add_controls(cicam, name)
    elif name == 'shared-column':
        cicam['model']['head']['pool'] |= dict(projection='shared')
    else:
        cicam['custom_hooks'] = []
        cicam['model']['head']['pool'] = None
    if name == 'one-branch':
        del cicam['model']['head']['pool']
        cicam['model']['head']['type'] = 'CAMHead'
    assert study == cicam


@pytest.mark.parametrize('name', ['controlled', 'other', 'mean', 'zeros'])
def test_controls_on_birds(name):
    expected = Config.fromfile(
        STUDY.parents[1] / 'configs' / 'cicam_vgg16_cub10_last-stage.py').to_dict()
    add_controls(expected, name)
    assert Config.fromfile(STUDY / 'cub10' / f'{name}.py').to_dict() == expected


NAMES = ('wsol/top1_cls', 'wsol/top1_loc', 'wsol/gt_known_loc', 'max_box_acc_v2')


def write_sweep(path, rows, *options):
    """A sweep's CSV file; each row has the control, the options, the seed and all metrics."""
    path.write_text(''.join(','.join(map(str, cells)) + '\n' for cells in [
        ['method', *options, 'seed', *NAMES, 'folder'],
        *([*row[:-1], *[row[-1]] * len(NAMES), 'x'] for row in rows)]))


def run(script, *args, monkeypatch):
    monkeypatch.setattr(sys, 'argv', [script, *map(str, args)])
    monkeypatch.syspath_prepend(STUDY)  # as for a script
    runpy.run_path(str(STUDY / script), run_name='__main__')


def test_tables_of_a_sweep(tmp_path, capsys, monkeypatch):
    """Seed 2 has no pair; 1 and 3 points more are 2 [2 - 12.7, 2 + 12.7]."""
    sweep = tmp_path / 'rho.csv'
    rows = [('none', 0, 80), ('own', 0, 81), ('none', 1, 82), ('own', 1, 85), ('own', 2, 99)]
    write_sweep(sweep, [(method, rho, seed, value + rho) for rho in (0, 0.5)
                        for method, seed, value in rows], 'dataset.rho')
    run('summarize.py', sweep, '--draw', monkeypatch=monkeypatch)
    assert sweep.with_suffix('.png').read_bytes().startswith(b'\x89PNG')
    lines = capsys.readouterr().out.split('\n')
    assert [line for line in lines if line.startswith('rho')] == ['rho, rho=0', 'rho, rho=0.5']
    assert [line[:32] for line in lines if line.startswith('| own')] == [
        '| own | 3 | 88.33 ± 9.45 | 88.33', '| own | 2 | +2.00 [-10.71, +14.7',
        '| own | 3 | 88.83 ± 9.45 | 88.83', '| own | 2 | +2.00 [-10.71, +14.7']


def test_cell_of_another_sweep(tmp_path, capsys, monkeypatch):
    write_sweep(tmp_path / 'controls.csv', [('own', 0, 80), ('own', 1, 90)])
    write_sweep(tmp_path / 'rate.csv', [('own', 0.1, 0, 81), ('own', 0.1, 1, 91)], 'update_rate')
    run('summarize.py', tmp_path / 'rate.csv', '--baseline', 'own', '--of',
        tmp_path / 'controls.csv', monkeypatch=monkeypatch)
    lines = capsys.readouterr().out.split('\n')
    assert '| minus own of controls | pairs | Top-1 Cls |' in ''.join(lines)
    assert [line[:36] for line in lines if line.startswith('| own |')] == [
        '| own | 2 | 86.00 ± 7.07 | 86.00 ± 7', '| own | 2 | +1.00 [+1.00, +1.00] * |']


def test_options_chosen_on_held_out_images(tmp_path, capsys, monkeypatch):
    """CAM finds more of them with 2, HaS with 1, whatever they find of the others."""
    sweep = tmp_path / 'rates.csv'
    sweep.write_text('\n'.join([
        'method,optimizer.lr,seed,wsol/gt_known_loc,val/gt_known_loc,folder',
        'CAM,1,0,60,30,x', 'CAM,1,1,62,50,x', 'HaS,1,0,50,45,x', 'HaS,1,1,54,47,x',
        'CAM,2,0,40,45,x', 'CAM,2,1,44,55,x', 'HaS,2,0,80,44,x', 'HaS,2,1,80,46,x']))
    run('summarize.py', sweep, '--choose', '--baseline', 'CAM', monkeypatch=monkeypatch)
    lines = capsys.readouterr().out.split('\n')
    assert lines[:2] == ['CAM: lr=2; lr=1 40.0; lr=2 50.0', 'HaS: lr=1; lr=1 46.0; lr=2 45.0']
    assert [line for line in lines if line.startswith(('| CAM', '| HaS'))] == [
        '| CAM | 2 | 42.00 ± 2.83 |', '| HaS | 2 | 52.00 ± 2.83 |',
        '| HaS | 2 | +10.00 [+10.00, +10.00] * |']


def test_growth_of_gain(tmp_path, capsys, monkeypatch):
    """own gains 1 point at rho 0.8, 3 elsewhere; with seeds of 2 and 4 that is 2 [-10.7, 14.7]."""
    plain = [(control, seed, 80 + (control == 'own'))
             for control in ('none', 'own', 'mean', 'zeros') for seed in (0, 1)]
    write_sweep(tmp_path / 'controls.csv', plain)
    write_sweep(tmp_path / 'rho.csv', [
        (control, rho, seed, value + (control == 'own') * (1 + 2 * seed))
        for rho in (0, 0.5) for control, seed, value in plain], 'dataset.rho')
    run('gain.py', tmp_path, monkeypatch=monkeypatch)
    lines = capsys.readouterr().out
    assert '| own | 0 | 0.5 | +0.00 [+0.00, +0.00] |' in lines  # the same at both
    assert '| own | 0 | 0.8 | -2.00 [-14.71, +10.71] |' in lines


class TestEvidence:
    """The statistics of docs/study/evidence.py on numbers made up."""

    @pytest.fixture
    def evidence(self):
        return runpy.run_path(str(STUDY / 'evidence.py'))

    def test_interval_covers_seeds_and_images(self, evidence):
        one = {0: {'k': np.array([100., 0, 100, 0])}, 1: {'k': np.array([100., 100, 100, 0])}}
        other = {0: {'k': np.array([0., 0, 100, 0])}, 1: {'k': np.array([0., 0, 100, 0])}}
        # means per seed 25 and 50: variance 312.5, by two seeds 156.25; means per image
        # 100, 50, 0, 0: variance 2291.67, by four images 572.92
        mean, margin, p = evidence['difference'](one, other, 'k', False)
        assert mean == 37.5
        assert margin == pytest.approx(12.7062 * 156.25**.5, rel=1e-4)
        assert p == pytest.approx(1 - 2 / math.pi * math.atan(37.5 / 156.25**.5), rel=1e-6)
        # 729.17**2 / (156.25**2 / 1 + 572.92**2 / 3) = 3.973 degrees of freedom
        mean, margin, p = evidence['difference'](one, other, 'k', True)
        assert mean == 37.5
        assert margin == pytest.approx(student.ppf(.975, 3.973) * 729.1667**.5, rel=1e-4)

    def test_equal_runs_get_no_star(self, evidence):
        same = {seed: {'k': np.zeros(3)} for seed in range(2)}
        assert evidence['difference'](same, same, 'k', True) == (0, 0, 1)

    def test_holm(self, evidence):
        assert evidence['holm']([.04, .001, .02, .03]) == [False, True, False, False]
        assert evidence['holm']([.012, .001, .016, .03]) == [True, True, True, True]
