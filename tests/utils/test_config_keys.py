from pathlib import Path

import pytest
from mmengine.config import Config

from cicam_mm.utils.settings import check_keys

CONFIGS = [path for path in sorted((Path(__file__).parents[2] / 'configs').rglob('*.py'))
           if '_base_' not in path.parts]


@pytest.mark.parametrize('key, known', [
    ('optim_wraper', 'optim_wrapper'), ('trian_cfg', 'train_cfg'),
    ('test_evaluater', 'test_evaluator'), ('custom_hook', 'custom_hooks'),
    ('param_schedulers', 'param_scheduler'), ('loadfrom', 'load_from')])
def test_the_nearest_known_name_is_told(tmp_path, key, known):
    path = tmp_path / 'config.py'
    path.write_text(f'model = dict()\n{key} = dict(x=1)  # {key}\n')
    for cfg in (Config.fromfile(path), Config(dict(model={}, **{key: {}}))):
        with pytest.raises(ValueError, match=f'reads the setting {key} .* did you mean {known}'):
            check_keys(cfg)


def test_names_of_the_config_itself_are_left_alone(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('models = dict(a=1)\nmodel = dict(b=models["a"])\nnote = "mine"\n')
    check_keys(Config.fromfile(path))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_configs_of_the_project_and_what_runs_dump_of_them(path, tmp_path):
    cfg = Config.fromfile(path)
    check_keys(cfg)
    check_keys(Config.fromstring(cfg.pretty_text, '.py'))


def test_on_the_command_line(run_tool, toy_config):
    with pytest.raises(SystemExit, match='error: nothing reads the setting trian_cfg'):
        run_tool('train.py', toy_config, '--cfg-options', 'trian_cfg.max_epochs=2')
