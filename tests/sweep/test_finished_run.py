import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from cicam_mm.sweep.finished_run import FinishedRun
from cicam_mm.sweep.report import build_page
from cicam_mm.utils.errors import UserError

CONFIG = """
test_dataloader = dict(dataset=dict(type='{0}TestSet', pipeline=[]))
val_dataloader = dict(dataset=dict(type='{0}ValSet', pipeline=[]))
model = dict()
"""
SEARCH = dict(best=dict(map_rule='quadratic', theta=.05), by='gt_known_loc', split='val',
              num_images=9)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def log(*entries):
    return '\n'.join(map(json.dumps, entries)) + '\n'


@pytest.fixture
def folder(tmp_path):
    """A run of three logged steps, resumed behind the second one, and a test."""
    first, second, test = (tmp_path / name for name in ('20260101_1', '20260101_2', '20260101_3'))
    write(first / 'vis_data' / 'scalars.json', log(
        dict(loss=3., iter=10, step=10), {'wsol/top1_loc': 40., 'step': 1},
        dict(loss=2., iter=20, step=20), {'wsol/top1_loc': 41., 'step': 2},
        dict(loss=9., iter=30, step=30)) + '{"loss": 8.1, "it')
    write(second / 'vis_data' / 'scalars.json', log(
        dict(loss=1., iter=30, step=30), {'wsol/top1_loc': 60., 'time': 1., 'step': 3}))
    for run in (first, second):
        write(run / 'vis_data' / 'config.py', f'name = "{run.name}"\n' + CONFIG.format(''))
    write(first / 'a.log', 'x - INFO - cicam_mm 0.0.9, on CPU\n')
    write(second / 'a.log', 'x - INFO - cicam_mm 0.1.0, torch 2.9.0, on CPU\nmore\n')
    write(test / f'{test.name}.json', {'wsol/top1_loc': 61., 'time': 2.})
    return tmp_path


def test_resumed_run_is_one_curve(folder):
    run = FinishedRun(folder)
    assert [entry.get('loss') for entry in run.scalars] == [3, None, 2, None, 1, None]
    assert run.config.name == '20260101_2'
    assert run.environment == 'cicam_mm 0.1.0, torch 2.9.0, on CPU'


def test_result_is_looked_for_in_three_places(folder):
    """Its protocol is that of the file if it says, of the config that was tested, or trained."""
    def result():
        metrics, source, protocol = FinishedRun(folder).result
        return metrics, source, protocol['images']['type']

    test = folder / '20260101_3'
    assert result() == ({'wsol/top1_loc': 61}, 'last test', 'TestSet')
    write(test / 'vis_data' / 'config.py', CONFIG.format('Other'))
    assert result() == ({'wsol/top1_loc': 61}, 'last test', 'OtherTestSet')
    write(folder / 'metrics.json', {'max_box_acc': 7., 'curves': {'x': [1]}})
    assert result() == ({'max_box_acc': 7}, 'metrics.json', 'TestSet')
    write(folder / 'metrics.json', {'protocol': {'images': {'type': 'Recorded'}}})
    assert result() == ({}, 'metrics.json', 'Recorded')
    (folder / 'metrics.json').unlink()
    (test / f'{test.name}.json').unlink()
    assert result() == ({'wsol/top1_loc': 60}, 'last validation', 'ValSet')


def test_pool_threshold_search_and_predictions(folder):
    run = FinishedRun(folder)
    assert [run.checkpoint, run.contexts, run.theta_figure, run.predictions] == [None] * 4
    pool = torch.arange(8.).reshape(2, 2, 2)
    torch.save(dict(state_dict={'head.pool.pool': pool}), folder / 'epoch_10.pth')
    write(folder / 'threshold_search' / 'curve.png', 'text')
    with pytest.raises(UserError, match='curve.png is damaged or not a picture'):
        _ = run.theta_figure
    (folder / 'threshold_search' / 'curve.png').write_bytes(b'\x89PNG...')
    write(folder / 'threshold_search' / 'search.json', SEARCH)
    write(folder / 'predictions' / 'predictions.json', {})
    run = FinishedRun(folder)
    np.testing.assert_array_equal(run.contexts, pool)
    assert run.theta_figure == b'\x89PNG...'
    assert run.theta_search == ['quadratic, theta 0.05', 'gt_known_loc', 'val, 9 images']
    assert run.predictions == folder / 'predictions'


def test_newest_checkpoint_is_that_of_the_last_epoch(folder):
    """Each of these is newer than those before it, whatever their times say."""
    names = ['converted_99.pth', 'iter_900.pth', 'best_top1_epoch_7.pth', 'epoch_9.pth',
             'best_wsol_gt_known_loc_epoch_10.pth', 'epoch_10.pth']
    for age, name in enumerate(names):
        (folder / name).touch()
        os.utime(folder / name, (1e9 - age, 1e9 - age))
        assert FinishedRun(folder).checkpoint.name == name


def test_the_latest_test_counts_and_says_of_what(folder):
    write(folder / 'predictions' / 'predictions.json', dict(num_images=9))  # of test --dump
    for clock, epoch in (('20260102_1', 10), ('test/20260102_2', 9)):  # where test.py puts it
        write(folder / clock / f'{Path(clock).name}.json', {'wsol/top1_loc': float(epoch)})
        write(folder / clock / 'vis_data' / 'config.py',
              CONFIG.format('') + f'load_from = "runs/epoch_{epoch}.pth"\n')
        assert FinishedRun(folder).result[:2] == (
            {'wsol/top1_loc': epoch}, f'test of epoch_{epoch}.pth')
    with pytest.raises(FileNotFoundError, match='holds no config of a run'):
        FinishedRun(folder / 'other')


def craft(folder, files):
    write(folder / '1/vis_data/config.py', CONFIG.format(''))
    write(folder / '1/vis_data/scalars.json', '{"loss": 1, "iter": 1, "step": 1}\n' * 3)
    for name, content in files.items():
        if name.endswith('.pth'):
            torch.save(content, folder / name)
        else:
            write(folder / name, content)
    return build_page({'a': FinishedRun(folder)}, {'a': 'no predictions were saved.'})


@pytest.mark.parametrize(('files', 'sentence'), [
    ({'metrics.json': '{"a": NaN}'}, 'metrics.json is damaged .NaN is not a number'),
    ({'1/vis_data/scalars.json': '{"loss": 1}\n{"loss" 2}\n'}, 'scalars.json, line 2: not an'),
    ({'threshold_search/search.json': dict(best=dict(map_rule='mean', theta='x'))},
     'search.json is damaged'),
    ({'epoch_1.pth': {'state_dict': {'head.pool.pool': torch.ones(2)}}},
     'epoch_1.pth holds no context pool'),
])
def test_damaged_files_are_named(tmp_path, files, sentence):
    with pytest.raises(UserError, match=sentence):
        craft(tmp_path, files)


def test_odd_files_are_reported(tmp_path):
    page = craft(tmp_path, {
        'metrics.json': {'wsol/top1_loc': 'x', 'b': True, 'c': None, 'd': 1e308, 'wsol/ok': 5},
        '1/vis_data/scalars.json': '{"loss": [1], "iter": 1}\n{"loss": 2, "iter": 2}\n{"lo',
        'threshold_search/search.json': SEARCH})
    assert page.rstrip().endswith('</html>') and 'ok</th>' in page
