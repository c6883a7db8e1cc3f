"""What an installed wheel can do without the clone."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mmpretrain
import pytest
import torch
import yaml
from mmpretrain.apis.model import ModelHub

from cicam_lite import BOX_RULES

ROOT = Path(__file__).parents[1]
MMPRETRAIN = Path(mmpretrain.__file__).parent
SMALL = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', *(
    f'{name}_dataloader.{setting}' for name in ('train', 'val') for setting in (
        'batch_size=6', 'num_workers=0', 'persistent_workers=False', 'dataset.num_images=12'))]


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """A folder that holds the installed wheel and nothing else."""
    folder = tmp_path_factory.mktemp('wheel')
    shutil.copytree(
        ROOT, folder / 'source', symlinks=True,
        ignore=lambda path, names: set(names) - {
            'cicam_lite', 'cicam_mm', 'cicam_mm_command.py', 'configs', 'tools', 'model-index.yml',
            'docs', 'LICENSE', 'pyproject.toml', 'setup.cfg'} if Path(path) == ROOT else ())
    pip = [sys.executable, '-m', 'pip', '--quiet']
    options = ['--disable-pip-version-check', '--no-deps', '--no-index']
    run(folder, *pip, 'wheel', *options, '--no-build-isolation', folder / 'source')
    run(folder, *pip, 'install', *options, '--target', folder / 'site', *folder.glob('*.whl'))
    return folder / 'site'


def run(folder, *command, site=''):
    process = subprocess.run(
        list(map(str, command)), cwd=folder, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, 'PYTHONPATH': str(site)}, timeout=300)
    assert process.returncode == 0, process.stdout
    return process.stdout


def test_files_of_the_wheel(site):
    assert (site / 'cicam_mm/py.typed').is_file() and (site / 'cicam_lite/py.typed').is_file()
    assert (site / 'bin/cicam_mm').is_file()
    assert (site / 'cicam_mm/.mim/photos/cat.jpg').is_file()
    assert (site / 'cicam_mm/.mim/tools/train.py').is_file()
    assert not (site / 'cicam_mm/.mim/tools/benchmark.py').exists()  # works in a clone only
    metadata, = site.glob('cicam_mm-*.dist-info/METADATA')
    _, _, description = metadata.read_text().partition('\n\n')
    links = re.findall(r'\]\(([^)]+)\)', description)
    assert links and all(link.startswith('https://') for link in links)


def test_cicam_lite_is_a_distribution_of_its_own(tmp_path):
    """It is built from its folder alone, and localizes where there is no torch."""
    shutil.copytree(ROOT / 'cicam_lite', tmp_path / 'source',
                    ignore=shutil.ignore_patterns('__pycache__'))
    run(tmp_path, sys.executable, '-m', 'pip', '--quiet', 'install', '--no-deps', '--no-index',
        '--no-build-isolation', '--target', tmp_path / 'site', tmp_path / 'source')
    script = ("import sys; sys.modules['torch'] = sys.modules['matplotlib'] = None\n"
              'import numpy as np, cicam_lite\n'
              'for rule in map(cicam_lite.get_box_rule, cicam_lite.BOX_RULES):\n'
              '    print(cicam_lite.find_boxes(np.eye(8)[None], rule, .2, (8, 8)).tolist())')
    assert len(run(tmp_path, sys.executable, '-c', script,
                   site=tmp_path / 'site').splitlines()) == len(BOX_RULES)


def load(checkpoint):
    return torch.load(checkpoint, weights_only=True)['state_dict']


def test_tools_of_mmpretrain_train_configs(site, tmp_path):
    """By its path, and with the package imported, as the base of another."""
    script = MMPRETRAIN / '.mim/tools/train.py'
    run(tmp_path, sys.executable, script, site / 'cicam_mm/.mim/configs/cam/cam_tiny_shapes.py',
        '--cfg-options', *SMALL, site=site)
    state = load(tmp_path / 'work_dirs/cam_tiny_shapes/epoch_1.pth')
    assert state['head.fc.weight'].shape == (6, 32) and 'head.pool.pool' not in state

    (tmp_path / 'mine.py').write_text(
        "_base_ = 'cicam_mm::cicam_tiny_shapes.py'\n"
        'model = dict(head=dict(pool=dict(size=(12, 12), resize=True)))\n')
    run(tmp_path, sys.executable, '-m', 'cicam_mm', script, 'mine.py', '--cfg-options', *SMALL,
        site=site)
    pool = load(tmp_path / 'work_dirs/mine/epoch_1.pth')['head.pool.pool']
    assert pool.shape == (6, 12, 12) and pool.any()


def test_model_index(monkeypatch):
    """It lists every method, and MMPretrain's hub finds what it names."""
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    folders = {path.parent for path in ROOT.glob('configs/*/*.py')} - {ROOT / 'configs/_base_'}
    assert {ROOT / name for name in index['Import']} == {
        folder / 'metafile.yml' for folder in {*folders, ROOT / 'configs'}}
    for name in index['Import']:
        methods = yaml.safe_load((ROOT / name).read_text())
        for collection in methods['Collections']:
            assert (ROOT / collection['README']).parent == (ROOT / name).parent
            assert (ROOT / collection['README']).is_file()
        for result in (r for model in methods['Models'] for r in model['Results']):
            assert {'Source', 'Protocol'} < set(result)

    monkeypatch.setattr(ModelHub, '_models_dict', {})
    ModelHub.register_model_index(ROOT / 'model-index.yml', config_prefix=ROOT)
    models = ModelHub._models_dict
    assert 'cicam_vgg16_cub_release' in models
    assert all(Path(model.config).stem == model.name for model in models.values())
    assert all(Path(model.config).is_file() for model in models.values())
