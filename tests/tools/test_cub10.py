"""The tools that look at results, on real photos and real features, a few of each."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

ROOT = Path(__file__).parents[2]
IMAGES = 4


@pytest.fixture(scope='module')
def run_folder(shared, tmp_path_factory):
    """The work directory of a run on ten classes of CUB whose head has learned nothing."""
    folder = tmp_path_factory.mktemp('cicam')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('CICAM_CUB10', str(shared / 'data' / 'cub10'))
        patch.setenv('CICAM_VGG16_WEIGHTS', str(
            shared / 'weights' / 'vgg16_in1k_conv_fp16.pth'))
        cfg = Config.fromfile(ROOT / 'configs' / 'cicam_vgg16_cub10.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=IMAGES)
        loader.dataset.indices = IMAGES
    model = MODELS.build(dict(cfg.model, _scope_='mmpretrain'))
    model.init_weights()
    cfg.model.backbone.init_cfg = None
    cfg.dump(folder / 'cicam.py')
    model.head.pool.pool[0] = torch.eye(14)
    torch.save(dict(meta={}, state_dict=model.state_dict()), folder / 'epoch_1.pth')
    return folder


def test_infer(run_tool, run_folder, shared, tmp_path):
    photos = sorted((shared / 'data' / 'cub10' / 'images').glob('*/*.jpg'))[:2]
    run_tool('infer.py', *photos, '--config', run_folder / 'cicam.py', '--checkpoint',
         run_folder / 'epoch_1.pth', '--out', tmp_path, '--strict')
    assert len(json.loads((tmp_path / 'predictions.json').read_text())) == 2
    assert len([*tmp_path.glob('pictures/*.png')]) == 2


def test_compare(run_tool, run_folder, tmp_path):
    method = f'{run_folder / "cicam.py"}:{run_folder / "epoch_1.pth"}'
    run_tool('compare.py', method, '--random', 2, '--pool', '--classes', 0, '--out', tmp_path)
    assert {path.name for path in tmp_path.glob('*.png')} == {'random.png', 'pool_cicam.png'}


def test_report(run_tool, run_folder, tmp_path):
    run_tool('report.py', run_folder, '--out', tmp_path / 'report.html', '--images', 1)
    page = (tmp_path / 'report.html').read_text()
    assert 'CUBLocalization' in page and 'Resize' in page
