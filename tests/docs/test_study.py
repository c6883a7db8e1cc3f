"""The configs of docs/study/, CI-CAM but for one thing each, and the tables of their sweeps."""
import runpy
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

STUDY = Path(__file__).parents[2] / 'docs' / 'study'
POOL = {
    'own': {}, 'other': dict(context='other'), 'mean': dict(context='mean'),
    'bump': dict(context='bump'), 'ones': dict(context='ones'), 'zeros': dict(context='zeros'),
    'no-bias': dict(bias=False), 'training-only': dict(test_context='zeros'),
    'testing-only': dict(context='zeros', test_context='own'),
}


def test_every_config_is_looked_at():
    assert {path.stem for path in STUDY.glob('*.py')} == {
        *POOL, 'none', 'one-branch', 'summarize'}


@pytest.mark.parametrize('name', [*POOL, 'none', 'one-branch'])
def test_differs_from_cicam_in_one_thing(name):
    cicam = Config.fromfile(STUDY.parents[1] / 'configs' / 'cicam_tiny_shapes.py').to_dict()
    study = Config.fromfile(STUDY / f'{name}.py').to_dict()
    evaluators = study.pop('test_evaluator')
    assert [evaluator['type'] for evaluator in evaluators] == [
        'WSOLMetric', 'MaxBoxAcc', 'PxAP', 'LocalizationErrors']
    del cicam['test_evaluator']
    if name in POOL:
        cicam['model']['head']['pool'] |= POOL[name]
    else:
        cicam['custom_hooks'] = []
        cicam['model']['head']['pool'] = None
    if name == 'one-branch':
        del cicam['model']['head']['pool']
        cicam['model']['head']['type'] = 'CAMHead'
    assert study == cicam


def test_tables_of_a_sweep(tmp_path, capsys, monkeypatch):
    """Seed 2 has no pair; 1 and 3 points more are 2 [2 - 12.7, 2 + 12.7]."""
    names = ['wsol/top1_cls', 'wsol/top1_loc', 'wsol/gt_known_loc', 'max_box_acc_v2', 'pxap',
             'localization_errors/more', 'localization_errors/context_mass']
    rows = [('none', 0, 80), ('own', 0, 81), ('none', 1, 82), ('own', 1, 85), ('own', 2, 99)]
    sweep = tmp_path / 'rho.csv'
    sweep.write_text(''.join(','.join(map(str, cells)) + '\n' for cells in [
        ['method', 'dataset.rho', 'seed', *names, 'folder'],
        *([method, 0.5, seed, *[value] * 7, 'x'] for method, seed, value in rows)]))
    monkeypatch.setattr(sys, 'argv', ['', str(sweep), '--baseline', 'none, rho=0.5'])
    runpy.run_path(str(STUDY / 'summarize.py'), run_name='__main__')
    lines = capsys.readouterr().out.split('\n')
    assert [line[:42] for line in lines if line.startswith('| own')] == [
        '| own, rho=0.5 | 3 | 88.33 ± 9.45 | 88.33 ', '| own, rho=0.5 | 2 | +2.00 [-10.71, +14.71']
    assert sweep.with_suffix('.png').read_bytes().startswith(b'\x89PNG')
