import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, config
from yapf.yapflib import yapf_api

from cicam_mm.utils import stack as compat

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[1]
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


@pytest.mark.parametrize('installed', [UPSTREAM, ONEDL])
def test_one_family_is_fine(installed):
    compat.check_stack(installed.get)


def test_full_mmcv_replaces_mmcv_lite():
    installed = UPSTREAM | {'mmcv': '2.2.0'}
    del installed['mmcv-lite']
    compat.check_stack(installed.get)


def refusal(installed):
    with pytest.raises(RuntimeError) as error:
        compat.check_stack(installed.get)
    message = str(error.value)
    assert '\n' not in message and message.endswith('`.')
    return message


def test_neither_family():
    assert refusal({'torch': '2.6.0', 'setuptools': '80.0'}) == (
        "cicam_mm needs mmengine, which is not installed: `pip install 'torch>=2.6' "
        "'mmengine>=0.10.7,<0.11' 'mmcv-lite>=2.2.0,<2.3' 'mmpretrain>=1.2.0,<1.3' "
        "'setuptools<81'`."
    )


def test_both_families():
    message = refusal(UPSTREAM | {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6'})
    assert message.startswith(
        'mmengine, mmcv-lite, mmpretrain and onedl-mmengine, onedl-mmcv are installed together'
    )
    assert (
        '`pip uninstall -y mmengine mmcv-lite mmpretrain onedl-mmengine onedl-mmcv && pip install'
    ) in message


@pytest.mark.parametrize(
    ('installed', 'name', 'version', 'says'),
    [
        (UPSTREAM, 'torch', '2.5.1', 'torch>=2.6, but 2.5.1'),
        (UPSTREAM, 'mmengine', '0.10.4', 'mmengine>=0.10.7,<0.11, but 0.10.4'),
        (UPSTREAM, 'mmpretrain', '2.0.0rc1', 'mmpretrain>=1.2.0,<1.3, but 2.0.0rc1'),
        (UPSTREAM, 'setuptools', '81.0.0', 'setuptools<81, but 81.0.0'),
        (ONEDL, 'onedl-mmcv', '2.4.0', 'onedl-mmcv>=2.3.6,<2.4, but 2.4.0'),
    ],
)
def test_version_out_of_bounds(installed, name, version, says):
    assert says in refusal(installed | {name: version})


def test_config_in_an_environment_with_both_families(tmp_path):
    """The sentence is what MMPretrain's own tools end with."""
    other = 'mmengine' if compat.installed_version('onedl-mmengine') else 'onedl_mmengine'
    folder = tmp_path / f'{other}-0.10.12.dist-info'
    folder.mkdir()
    (folder / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {other}\nVersion: 0.10.12\n')
    process = subprocess.run(
        [sys.executable, '-c', 'import sys; from mmengine.config import Config; '
         'Config.fromfile(sys.argv[1])', str(CONFIG)], text=True, stderr=subprocess.PIPE,
        env={**os.environ, 'PYTHONPATH': f'{tmp_path}{os.pathsep}{ROOT}'}, timeout=300)
    assert process.returncode == 1
    last_line = process.stderr.splitlines()[-1]
    assert re.match('RuntimeError: mmengine(, | and )', last_line)
    assert 'are installed together' in last_line and 'pip uninstall' in last_line


def test_config_where_this_package_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cicam_mm', None)
    with pytest.raises(ImportError, match="Failed to import custom modules .*'cicam_mm'"):
        Config.fromfile(CONFIG)


@pytest.mark.parametrize('name', ['cicam_tiny_shapes.py', 'cam/cam_tiny_shapes.py'])
def test_base_config_of_the_package(tmp_path, name):
    (tmp_path / 'mine.py').write_text(f"_base_ = 'cicam_mm::{name}'\nlog_level = 'ERROR'\n")
    expected = Config.fromfile(ROOT / 'configs' / name)
    expected.log_level = 'ERROR'
    # nothing is marked to be looked up in registries of the package, which has none
    found = Config.fromfile(tmp_path / 'mine.py')
    for cfg in (found, expected):  # the package links to the folder of configs
        weights = cfg.model.backbone.init_cfg
        weights.checkpoint = str(Path(weights.checkpoint).resolve())
    assert found.to_dict() == expected.to_dict()


def test_base_config_that_does_not_exist(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'cicam_mm::cam/tiny.py'\n")
    with pytest.raises(FileNotFoundError, match='cicam_mm has no config cam/tiny.py; its'):
        Config.fromfile(tmp_path / 'mine.py')


def test_base_config_of_another_package(tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'mmpretrain::_base_/schedules/imagenet_bs256.py'\n")
    assert Config.fromfile(tmp_path / 'mine.py').auto_scale_lr == dict(base_batch_size=256)


def test_incomplete_family():
    installed = ONEDL.copy()
    del installed['onedl-mmpretrain']
    message = refusal(installed)
    assert 'needs onedl-mmpretrain, which is not installed' in message
    assert "'mmengine" not in message  # the command stays within the family


def test_bounds_are_those_of_setup_cfg():
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    extras = config['options.extras_require']
    for extra, family in [('upstream', compat.UPSTREAM), ('onedl', compat.ONEDL)]:
        assert extras[extra].split() == [name + bounds for name, bounds in family.items()]
    assert 'torch' + compat.TORCH['torch'] in config['options']['install_requires'].split()


@pytest.mark.parametrize(('launcher', 'has_gpu'), [('none', False), ('pytorch', True)])
def test_config_is_left_alone(launcher, has_gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    cfg = Config(dict(launcher=launcher))
    compat.prepare_cpu_distributed(cfg)
    assert cfg.to_dict() == dict(launcher=launcher)
    assert not torch.distributed.is_initialized()


def test_process_group_of_an_earlier_runner_is_kept(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    monkeypatch.setattr(torch.distributed, 'init_process_group', pytest.fail)
    monkeypatch.setenv('MASTER_PORT', '29500')
    cfg = Config(dict(launcher='pytorch'))
    compat.prepare_cpu_distributed(cfg)
    assert cfg.model_wrapper_cfg.device_ids is None


def test_a_config_is_formatted_once(monkeypatch):
    texts = []

    def count(text, style_config, **options):
        texts.append(text)
        return format_code(text, style_config=style_config, **options)

    module = config if hasattr(config, 'FormatCode') else yapf_api
    format_code = module.FormatCode
    monkeypatch.setattr(module, 'FormatCode', count)
    compat.remember_formatted_configs()
    cfg = Config(dict(model=dict(type='CAM', in_channels=3)))
    assert cfg.pretty_text == cfg.pretty_text == "model = dict(in_channels=3, type='CAM')\n"
    cfg.model.in_channels = 4
    assert cfg.pretty_text == "model = dict(in_channels=4, type='CAM')\n"
    assert len(texts) == 2


@pytest.mark.parametrize('args, options', [
    (('x = {1:2}\n', ), {}),
    (('x = {1:2}\n', ), dict(style_config='google')),
    (('x = {1:2}\n', 'a.py', dict(based_on_style='pep8')), dict(print_diff=True)),
    (('x = {1:2}\ny = {1:2}\n', ), dict(
        style_config=dict(based_on_style='pep8', no_spaces_around_selected_binary_operators=['*']),
        lines=[(2, 2)])),
    ((), dict(unformatted_source='x = {1:2}\n', style_config=dict(based_on_style='pep8'))),
])
def test_yapf_formats_for_others_as_before(monkeypatch, args, options):
    module = config if hasattr(config, 'FormatCode') else yapf_api
    format_code = module.FormatCode
    expected = format_code(*args, **options)
    seen = []

    def look(*args, **options):
        seen.append((args, options))
        return format_code(*args, **options)

    monkeypatch.setattr(module, 'FormatCode', look)
    compat.remember_formatted_configs()
    for _ in range(2):
        assert module.FormatCode(*args, **options) == expected
    assert seen == [(args, options)] * 2
