import re
import sys
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from packaging.requirements import Requirement

from cicam_mm.utils import stack
from cicam_mm.utils.distributed import prepare_cpu_distributed

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'cicam_tiny_shapes.py'
UPSTREAM = {
    'torch': '2.14.1+cu130',
    'mmengine': '0.10.7',
    'mmcv-lite': '2.2.0',
    'mmpretrain': '1.2.0',
    'setuptools': '80.10.2',
}
ONEDL = {
    'torch': '2.6.0',
    'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6',
    'onedl-mmpretrain': '1.3.6',
}


def without(family, name):
    return {key: version for key, version in family.items() if key != name}


@pytest.mark.parametrize('installed', [
    UPSTREAM, ONEDL, without(UPSTREAM, 'mmcv-lite') | {'mmcv': '2.2.0'}])
def test_one_family_is_fine(installed):
    stack.check_stack(installed.get)


@pytest.mark.parametrize(('installed', 'says'), [
    ({'torch': '2.6.0', 'setuptools': '80.0'}, re.escape(
        "cicam_mm needs mmengine, which is not installed: `pip install 'torch>=2.6' "
        "'mmengine<0.11,>=0.10.7' 'mmcv-lite<2.3,>=2.2.0' 'mmpretrain<1.3,>=1.2.0' "
        "'setuptools<81'`.")),
    (UPSTREAM | {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6'},
     'mmengine, mmcv-lite, mmpretrain and onedl-mmengine, onedl-mmcv are installed together .*'
     '`pip uninstall -y mmengine mmcv-lite mmpretrain onedl-mmengine onedl-mmcv && pip install'),
    (UPSTREAM | {'torch': '2.5.1'}, 'torch>=2.6, but 2.5.1'),
    (UPSTREAM | {'mmpretrain': '2.0.0rc1'}, 'mmpretrain<1.3,>=1.2.0, but 2.0.0rc1'),
    (ONEDL | {'onedl-mmcv': '2.4.0'}, 'onedl-mmcv<2.4,>=2.3.6, but 2.4.0'),
    (without(ONEDL, 'onedl-mmpretrain'), "needs onedl-mmpretrain, which .*: (?!.*'mmengine)"),
])
def test_other_installations(installed, says):
    with pytest.raises(RuntimeError, match=says) as error:
        stack.check_stack(installed.get)
    assert '\n' not in str(error.value) and str(error.value).endswith('`.')


@pytest.mark.parametrize('file', ['setup.cfg', 'cicam_lite/pyproject.toml'])
def test_opencv_that_decodes_half_a_jpeg_is_out_of_bounds(file):
    """4.10 takes a JPEG that is cut off for whole."""
    wanted = Requirement(re.search(r'opencv-python[^\s"]*', (ROOT / file).read_text())[0])
    assert '4.10.0.84' not in wanted.specifier and cv2.__version__ in wanted.specifier


def test_windows_is_refused(monkeypatch):
    monkeypatch.setattr(sys, 'platform', 'win32')
    with pytest.raises(RuntimeError, match='runs on Linux and macOS'):
        stack.check_stack(UPSTREAM.get)


def test_config_where_this_package_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cicam_mm', None)
    with pytest.raises(ImportError, match="Failed to import custom modules .*'cicam_mm'"):
        Config.fromfile(CONFIG)


def test_process_group_of_an_earlier_runner_is_kept(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    monkeypatch.setattr(torch.distributed, 'init_process_group', pytest.fail)
    monkeypatch.setenv('MASTER_PORT', '29500')
    cfg = Config(dict(launcher='pytorch'))
    prepare_cpu_distributed(cfg)
    assert cfg.model_wrapper_cfg.device_ids is None
