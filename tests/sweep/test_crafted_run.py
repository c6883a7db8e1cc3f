"""Work directories that nobody's training left: each is reported, or refused in one sentence."""
import json
import os

import pytest
import torch

from cicam_mm.sweep.finished_run import FinishedRun
from cicam_mm.sweep.report import build_page
from cicam_mm.utils.errors import UserError

CONFIG = """
test_dataloader = dict(dataset=dict(type='TestSet', pipeline=[]))
val_dataloader = dict(dataset=dict(type='ValSet', pipeline=[]))
model = dict()
"""


CURVE = 'map_rule,theta,top1_loc,top5_loc,gt_known_loc\n'
SEARCH = dict(best=dict(map_rule='mean', theta=.1), by='gt_known_loc', split='val', num_images=9)


def write(folder, files):
    files = {'1/vis_data/config.py': CONFIG,
             '1/vis_data/scalars.json': '{"loss": 1, "iter": 1, "step": 1}\n' * 3} | files
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            os.mkfifo(path)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif path.suffix == '.pth':
            torch.save(content, path)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))


def build(folder):
    return build_page({'a': FinishedRun(folder)}, {'a': 'no predictions were saved.'})


@pytest.mark.parametrize(('files', 'sentence'), [
    ({'metrics.json': '{"wsol/top1_loc": 12'}, 'metrics.json is damaged'),
    ({'metrics.json': '[1]'}, 'metrics.json is damaged .it holds no mapping'),
    ({'metrics.json': '{"a": NaN}'}, 'metrics.json is damaged .NaN is not a number'),
    ({'metrics.json': '[' * 100_000}, 'metrics.json is damaged'),
    ({'metrics.json': b'\xff\xfe'}, 'metrics.json is not UTF-8 text'),
    ({'metrics.json': {'protocol': [1]}}, 'metrics.json is damaged .the protocol'),
    ({'metrics.json': {'protocol': {'frame': {}}}}, 'metrics.json is damaged .the protocol'),
    ({'2/2.json': '{"a"'}, '2.json is damaged'),
    ({'1/vis_data/scalars.json': '{"loss": 1}\n{"loss" 2}\n'}, 'scalars.json, line 2: not an'),
    ({'1/vis_data/scalars.json': '{"loss": 1}\n[]\n'}, 'scalars.json, line 2: not an'),
    ({'1/vis_data/scalars.json': '{"loss": 1, "iter": "x"}\n'}, 'scalars.json, line 1: not an'),
    ({'1/vis_data/scalars.json': b'{"loss": 1}\xff\n'}, 'scalars.json is not UTF-8 text'),
    ({'threshold_search/curve.csv': CURVE + 'mean,0,x,1,1\n'}, 'curve.csv, line 2: expected'),
    ({'threshold_search/curve.csv': CURVE + 'mean,0,1\n'}, 'curve.csv, line 2: expected'),
    ({'threshold_search/curve.csv': CURVE + 'mean,0,nan,1,1\n'}, 'curve.csv, line 2: expected'),
    ({'threshold_search/curve.csv': CURVE}, 'curve.csv.* is empty'),
    ({'threshold_search/curve.csv': 'a,b\n1,2\n'}, 'curve.csv, line 1: expected'),
    ({'threshold_search/curve.csv': CURVE + f'{"x" * 200_000},0,1,1,1\n'}, 'line 2: field larger'),
    ({'threshold_search/curve.csv': CURVE + 'mean,0,1,1,1\n', 'threshold_search/search.json': '{}'
      }, 'search.json is damaged'),
    ({'threshold_search/curve.csv': CURVE + 'mean,0,1,1,1\n', 'threshold_search/search.json':
      SEARCH | dict(best=dict(map_rule='mean', theta='x'))}, 'search.json is damaged'),
    ({'epoch_1.pth': [1]}, 'epoch_1.pth holds no weights'),
    ({'epoch_1.pth': {'state_dict': {'head.pool.pool': torch.ones(2)}}},
     r'epoch_1.pth has the shape \(2,\) instead of \(n, h, w\)'),
    ({'epoch_1.pth': {'state_dict': {'head.pool.pool': torch.full((2, 3, 3), torch.nan)}}},
     '18 of 18 values of head.pool.pool in the checkpoint'),
    ({'1/vis_data/config.py': b'\xff'}, 'config.py is not UTF-8 text'),
    ({'1/vis_data/scalars.json': None, 'a.py': CONFIG}, 'scalars.json is not a regular file'),
])
def test_refused(tmp_path, files, sentence):
    write(tmp_path, files)
    with pytest.raises(UserError, match=sentence):
        build(tmp_path)


def test_a_truncated_checkpoint_is_refused(tmp_path):
    write(tmp_path, {'epoch_1.pth': {}})
    path = tmp_path / 'epoch_1.pth'
    os.truncate(path, path.stat().st_size - 9)
    with pytest.raises(UserError, match='epoch_1.pth cannot be read: it is truncated'):
        build(tmp_path)


@pytest.mark.parametrize('files', [
    {},
    {'metrics.json': {'wsol/top1_loc': 'x', 'b': True, 'c': None, 'd': 1e308, 'wsol/ok': 5}},
    {'metrics.json': None, 'epoch_3.pth': None, '1/a.log': None},
    {'1/vis_data/scalars.json': '{"loss": [1], "iter": 1}\n{"loss": 2, "iter": 2}\n{"lo'},
    {'threshold_search/search.json': '{}'},
    {'threshold_search/curve.csv': CURVE + 'mean,0,1,1,1\n',
     'threshold_search/search.json': SEARCH},
])
def test_reported(tmp_path, files):
    write(tmp_path, files)
    page = build(tmp_path)
    assert page.rstrip().endswith('</html>')
    assert ('ok</th>' in page) == ('metrics.json' in files and files['metrics.json'] is not None)
