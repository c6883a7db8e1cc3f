"""report.py on two short trainings of the demo set."""

import gzip
import json
import re
import shutil
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample

from cicam_mm.engine.runner import build_runner
from cicam_mm.evaluation.saved_predictions import write_sample

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Work directories of CAM and CI-CAM after one epoch on 24 images."""
    root = tmp_path_factory.mktemp('trained')
    for stem in ('cam', 'cicam'):
        cfg = Config.fromfile(next((ROOT / 'configs').rglob(f'{stem}_tiny_shapes.py')))
        cfg.work_dir = str(root / stem)
        cfg.experiment_name = f'{root.name}_{stem}'
        cfg.train_cfg.max_epochs = cfg.train_cfg.val_interval = 1
        cfg.train_dataloader.dataset.num_images = 24
        cfg.default_hooks.logger.interval = 1
        for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            cfg[name].update(num_workers=0, persistent_workers=False, batch_size=12)
        for name in ('val_dataloader', 'test_dataloader'):
            cfg[name].dataset.num_images = 12
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            build_runner(cfg).train()
    return root


@pytest.fixture
def report(run_tool, tmp_path):
    def report(*args):
        out = tmp_path / 'out' / 'report.html'
        run_tool('report.py', *args, '--out', out)
        return out.read_text(encoding='utf-8')

    return report


def test_page_of_two_runs(report, trained, tmp_path):
    search = tmp_path / 'cicam' / 'threshold_search'
    shutil.copytree(trained / 'cicam', tmp_path / 'cicam')
    search.mkdir()
    figure = b'\x89PNG...'
    (search / 'curve.png').write_bytes(figure)
    best = dict(map_rule='quadratic', theta=.1)
    (search / 'search.json').write_text(json.dumps(
        dict(best=best, by='gt_known_loc', split='val', num_images=9)))
    (tmp_path / 'cicam' / 'metrics.json').write_text(
        json.dumps({'wsol/top1_loc': 12.34, 'max_box_acc_threshold': 0.035, 'curves': {}}))

    page = report(trained / 'cam', tmp_path / 'cicam', '--images', 2, '--title', 'Ducks & <water>',
                  '--trust-configs')
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(link.startswith('data:') for link in links)
    assert 'http' not in re.sub(r'base64,[^"]*', '', page) and '<script' not in page
    assert '<h1>Ducks &amp; &lt;water&gt;</h1>' in page
    sections = re.findall('<h2>(.*)</h2>', page)
    assert sections == ['Results', 'Training', 'Threshold', 'Kinds of errors', 'Classes',
                        'Best and worst localizations', 'Causal context pool',
                        'Versions and settings']
    assert re.search(r'Top-1 Loc</th><td>\d+\.\d</td><td>12.3</td>', page)
    assert re.search(r'max_box_acc_threshold</th><td>–</td><td>0.035</td>', page)
    assert 'Resize(scale=[96, 96])' in page and 'map_rule=top1' in page
    assert 'quadratic, theta 0.1' in page and 'val, 9 images' in page
    assert f'data:image/png;base64,{b64encode(figure).decode()}' in links
    pictures = [link for link in links if 'image/jpeg' in link]
    assert len(pictures) == 2 * 2 * 2 + 1  # best and worst of each, one pool sheet
    assert page.count('<figcaption>000') == 2 * 2 * 2  # the images' names
    assert page.count('<details>') == 2 * 2 and "type=&#39;DualCAMHead&#39;" in page
    assert 'cicam_mm 0' in page and 'torch' in page


def test_what_is_missing_is_said(report, trained, tmp_path):
    shutil.copytree(trained / 'cam', tmp_path / 'bare' / 'cam')
    (tmp_path / 'bare' / 'cam' / 'epoch_1.pth').unlink()
    page = report(trained / 'cam', tmp_path / 'bare' / 'cam', '--saved-only')
    assert page.count('no predictions were saved.') == 2
    assert f'{trained / "cam"}, {tmp_path / "bare" / "cam"}' in page  # alike names become paths
    assert 'there is no checkpoint' in report(tmp_path / 'bare' / 'cam')
    page = report(trained / 'cicam')
    assert 'no predictions were saved, and the run&#39;s config was only read' in page
    assert 'cicam: no mean images, for the run&#39;s config was only read' in page
    with pytest.raises(SystemExit, match='holds no config of a run'):
        report(tmp_path / 'bare')


DATASET = """train_dataloader = dict(dataset=dict({0}))
test_dataloader = dict(dataset=dict({0}))
model = dict()
"""


@pytest.mark.parametrize('code', ['__import__("os").mkdir({!r})', 'import os; os.mkdir({!r})'])
@pytest.mark.parametrize('options', [[], ['--saved-only'], ['--trust-configs']])
def test_code_in_a_config_of_a_work_directory_is_not_run(report, tmp_path, code, options):
    marker = tmp_path / 'executed'
    (tmp_path / 'config.py').write_text(DATASET.format('type="CUB"') + code.format(str(marker)))
    with pytest.raises(SystemExit, match='config.py is refused: line 4 holds code .* not run'):
        report(tmp_path, *options)
    assert not marker.exists()


def test_what_a_config_of_a_work_directory_names_is_not_built(report, tmp_path):
    """Any function can be the type of a data set, and any module be imported."""
    marker, folder = tmp_path / 'executed', tmp_path / 'run'
    sample = DataSample(metainfo=dict(sample_idx=0)).set_pred_label(0).set_gt_label(0)
    sample.set_data(dict(pred_box=torch.tensor([0, 0, 9, 9]), gt_bboxes=np.array([[0., 0, 9, 9]])))
    (folder / 'predictions').mkdir(parents=True)
    with gzip.open(folder / 'predictions' / 'part_0.gz', 'wb') as file:
        write_sample(file, sample)
    (folder / 'predictions' / 'predictions.json').write_text(
        json.dumps(dict(num_images=1, num_parts=1, classes=None, protocol={})))
    (folder / 'evil.py').write_text(f'import os; os.mkdir({str(marker)!r})')
    (folder / '20260101' / 'vis_data').mkdir(parents=True)
    (folder / '20260101' / 'vis_data' / 'scalars.json').write_text('{"loss": 1, "iter": 1}')
    (folder / '20260101' / 'vis_data' / 'config.py').write_text(
        '_base_ = ["../../evil.py"]\ncustom_imports = dict(imports=["evil"])\n'
        + DATASET.format(f'type="os.mkdir", path={str(marker)!r}'))
    torch.save(dict(state_dict={'head.pool.pool': torch.ones(2, 3, 3)}), folder / 'epoch_1.pth')
    page = report(folder)
    assert page.count('the run&#39;s config was only read') == 2 and not marker.exists()


def test_a_hostile_checkpoint_in_a_work_directory(report, trained, tmp_path):
    shutil.copytree(trained / 'cicam', tmp_path / 'cicam')
    torch.save(dict(state_dict=print), tmp_path / 'cicam' / 'epoch_1.pth')
    with pytest.raises(SystemExit, match=r'epoch_1.pth is refused: .* it holds print, which'):
        report(tmp_path / 'cicam')
