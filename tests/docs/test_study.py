"""The configs of docs/study/: CI-CAM but for one thing each."""
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
    assert {path.stem for path in STUDY.glob('*.py')} == {*POOL, 'none', 'one-branch'}


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
