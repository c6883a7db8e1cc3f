import json
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from cicam_mm.engine.runner import build_runner
from cicam_mm.sweep.runs import (
    is_done,
    metric_names,
    plan_runs,
    train_and_test,
)
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


def test_folders():
    run, = plan_runs({'../a b': 'a.py'}, {'size': ['(1, /2)']}, [0], Path('out'))
    assert run.folder == Path('out/.._a_b/size=_1___2_/seed_0')
    with pytest.raises(UserError, match='two runs of the sweep are the same'):
        plan_runs(METHODS, {}, [0, 1, 0], Path('out'))


@pytest.mark.parametrize('evaluator, search, names', [
    (dict(type='Accuracy', topk=(1, )), False, ['accuracy/top1']),
    ([dict(type='WSOLMetric', topk=(1, ), iou_thr=[.3, .5]), dict(type='PxAP')], True, [
        'wsol/top1_cls', 'wsol/top1_loc@0.3', 'wsol/gt_known_loc@0.3', 'wsol/top1_loc@0.5',
        'wsol/gt_known_loc@0.5', 'pxap', 'theta', 'val/top1_loc', 'val/top5_loc',
        'val/gt_known_loc']),
    (dict(type='RetrievalRecall', topk=1), False, None)])
def test_metrics_are_known_before_a_run(evaluator, search, names):
    assert metric_names(Config(dict(test_evaluator=evaluator)), search) == names


def test_a_run_goes_on_whatever_the_order_of_its_settings(tmp_path):
    (tmp_path / 'metrics.json').write_text('{}')
    text = ('{"search_theta": false, "seed": 0, "model": {"depth": 11, "theta": NaN}, '
            '"work_dir": "."}')
    (tmp_path / 'settings.json').write_text(text)
    cfg = Config(dict(work_dir=str(tmp_path), model=dict(theta=float('nan'), depth=11), seed=0))
    assert is_done(cfg)
    (tmp_path / 'settings.json').write_text(text[:30])  # cut off
    with pytest.raises(UserError, match='holds a run with other settings'):
        is_done(cfg)


def test_an_interrupted_run_continues_whatever_it_started_from(toy_config, tmp_path):
    cfg = Config.fromfile(toy_config)
    cfg.work_dir, cfg.log_level = str(tmp_path / 'first'), 'ERROR'
    build_runner(deepcopy(cfg)).train()
    first = tmp_path / 'first/epoch_1.pth'
    run_ = tmp_path / 'run'
    run_.mkdir()
    shutil.copy(first, run_ / 'epoch_1.pth')
    (run_ / 'last_checkpoint').write_text(str(run_ / 'epoch_1.pth'))
    cfg.work_dir, cfg.load_from, cfg.train_cfg.max_epochs = str(run_), str(first), 2
    train_and_test(cfg)
    assert (run_ / 'epoch_1.pth').read_bytes() == first.read_bytes()
    assert torch.load(run_ / 'epoch_2.pth', weights_only=False)['meta']['epoch'] == 2


@pytest.mark.parametrize('change, is_other', [
    (dict(test_evaluator=dict(iou_thr=.3), val_dataloader=dict(seed=7)), False),
    (dict(seed=1), True)])
@pytest.mark.parametrize('tested', [False, True])
def test_the_test_of_a_trained_run_may_change(tmp_path, change, is_other, tested):
    cfg = dict(work_dir='.', seed=0, test_evaluator=dict(iou_thr=.5), val_dataloader=dict(seed=0))
    (tmp_path / 'settings.json').write_text(json.dumps(dict(cfg, search_theta=True)))
    (tmp_path / 'epoch_1.pth').touch()
    if tested:
        (tmp_path / 'metrics.json').write_text('{}')
    cfg = Config(dict(cfg, **change) | dict(work_dir=str(tmp_path)))
    if is_other or tested:
        with pytest.raises(UserError, match='holds a run with other settings'):
            is_done(cfg)
    else:
        assert not is_done(cfg)
