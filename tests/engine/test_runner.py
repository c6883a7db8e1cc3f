import logging

import pytest
from mmengine.config import Config

from cicam_mm.engine.runner import build_runner, prepare_config

pytestmark = pytest.mark.stack


def test_console_is_short_and_the_log_file_complete(toy_config, tmp_path, capsys):
    cfg = Config.fromfile(toy_config)
    cfg.work_dir = str(tmp_path / 'work')
    runner = build_runner(cfg)
    built = capsys.readouterr().out
    assert len(built.splitlines()) == 2
    assert 'cicam_mm' in built and 'mmengine' in built and 'on CPU' in built

    runner.train()
    console, log = capsys.readouterr().out, next((tmp_path / 'work').rglob('*.log')).read_text()
    for line in ('Epoch(train)', 'Saving checkpoint', 'accuracy/top1'):
        assert line in console and line in log
    assert 'paramwise_options' in log and 'paramwise_options' not in console
    assert 'Exp name' not in console


def test_log_level_of_the_config_is_kept(toy_config, tmp_path):
    cfg = Config.fromfile(toy_config)
    cfg.work_dir, cfg.log_level = str(tmp_path / 'work'), 'WARNING'
    runner = build_runner(cfg)
    assert all(handler.level == logging.WARNING for handler in runner.logger.handlers)
    assert runner.logger.isEnabledFor(logging.WARNING)
    assert Config.fromfile(tmp_path / 'work' / 'toy.py').log_level == 'WARNING'


@pytest.mark.parametrize(('env_cfg', 'timeout'), [
    (None, 600), (dict(), 600), (dict(dist_cfg=dict(timeout=60)), 60)])
def test_ranks_wait_minutes_and_the_missing_one_is_named_before(monkeypatch, env_cfg, timeout):
    monkeypatch.setattr('cicam_mm.engine.runner.launched_rank', lambda launcher: 0)
    monkeypatch.setattr('cicam_mm.engine.runner.prepare_cpu_distributed', lambda cfg: None)
    cfg = Config(dict(launcher='pytorch', **({} if env_cfg is None else dict(env_cfg=env_cfg))))
    prepare_config(cfg)
    assert cfg.env_cfg.dist_cfg.timeout == timeout
    assert cfg.default_hooks.rank_watch == dict(type='RankWatchHook', timeout=0.8 * timeout)


def test_loaders_without_workers_keep_none():
    """``num_workers=0`` on the command line comes with the config's persistent workers."""
    loader = dict(num_workers=0, persistent_workers=True)
    cfg = Config(dict(train_dataloader=loader, val_dataloader=dict(loader, num_workers=2),
                      test_dataloader=dict(num_workers=1, persistent_workers=False)))
    prepare_config(cfg)
    assert [cfg[f'{name}_dataloader'].persistent_workers for name in ('train', 'val', 'test')] == [
        False, True, False]
    assert cfg.train_dataloader.collate_fn == dict(type='default_collate')
