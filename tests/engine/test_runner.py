import logging
import os
import re
import signal

import pytest
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmpretrain.registry import METRICS

from cicam_mm.engine.runner import build_runner, lock_work_dir, prepare_config
from cicam_mm.utils.errors import as_sentence

pytestmark = pytest.mark.stack


def test_console_is_short_and_the_log_file_complete(toy_config, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('cicam_mm.engine.runner.SILENCE', -1)
    cfg = Config.fromfile(toy_config)
    cfg.work_dir = str(tmp_path / 'work')
    runner = build_runner(cfg)
    built = capsys.readouterr().out
    assert len(built.splitlines()) == 2
    assert 'cicam_mm' in built and 'mmengine' in built and 'on CPU' in built

    assert runner.logger.isEnabledFor(logging.INFO)
    runner.train()
    console, log = capsys.readouterr().out, next((tmp_path / 'work').rglob('*.log')).read_text()
    for line in ('Epoch(train)', 'Saving checkpoint', 'accuracy/top1',
                 'Training: 1 of 4 batches', 'Validation: 4 of 4 batches'):  # if it is slow
        assert line in console and line in log
    assert 'paramwise_options' in log and 'paramwise_options' not in console
    assert 'Exp name' not in console
    last = console.rstrip().split('\n\n')[-1].splitlines()  # of ResultTableHook
    assert last[0].split() == ['Validation', 'value'] and 'accuracy/top1' in last[2]


@pytest.fixture
def toy(toy_config, tmp_path):
    cfg = Config.fromfile(toy_config)
    cfg.work_dir, cfg.log_level = str(tmp_path / 'work'), 'WARNING'
    return cfg


def train(cfg, **settings):
    cfg.merge_from_dict(settings)
    build_runner(cfg).train()


@pytest.mark.parametrize(('settings', 'sentence'), [
    (dict(train_dataloader=dict(batch_size=8, drop_last=True)),
     'the training would make no step: 7 images in batches of 8 for 1 epochs'),
    ({'model.backbone.depth': -18}, 'ResNet: invalid depth -18 for resnet'),
    ({'model.head.in_channels': 31}, 'the training cannot begin with these settings: RuntimeError'
     ': mat1 and mat2 shapes'),
    ({'val_evaluator.topk': (5, )}, 'the evaluation cannot begin with these settings: ValueError: '
     'Top-5 accuracy is unavailable'),
    (dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', save_best='top5'))),
     'CheckpointHook waits for the metric top5, but the validation gives accuracy/top1; '),
    (dict(custom_hooks=[dict(type='EarlyStoppingHook', monitor='accuracy/top_1')]),
     'EarlyStoppingHook waits for the metric accuracy/top_1, but the validation gives '),
    (dict(custom_imports=dict(imports='absent')), 'the run cannot begin with these settings: '
     'ImportError: Failed to import absent'),
    (dict(val_cfg=None), 'the run cannot begin with these settings: ValueError: val_dataloader, '),
])
def test_no_training_that_does_nothing_or_cannot_begin(toy, settings, sentence):
    with pytest.raises(Exception) as error:  # noqa: B017  whatever it is
        train(toy, **settings)
    assert re.match(sentence, as_sentence(error.value))


def test_later_errors_keep_their_traceback(toy):
    class Fail(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 1:
                raise RuntimeError('unexpected')

    runner = build_runner(toy)
    runner.register_hook(Fail())
    with pytest.raises(RuntimeError, match='unexpected'):
        runner.train()


@METRICS.register_module()
class Two(BaseMetric):
    """One metric that rises, and one that falls."""
    epoch = 0
    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        Two.epoch += len(results) > 1  # not for the names alone
        return dict(loc=[50., 60.][Two.epoch - 1], cls=[2., 1.][Two.epoch - 1])


@pytest.mark.parametrize('save_best', ['auto', ['toy/loc', 'toy/cls']])
def test_the_best_checkpoint_needs_no_rule(toy, tmp_path, monkeypatch, save_best):
    monkeypatch.setattr(Two, 'epoch', 0)
    train(toy, **{'train_cfg.max_epochs': 2, 'val_evaluator': dict(
        _delete_=True, type='Two'),
        'default_hooks': dict(checkpoint=dict(type='CheckpointHook', save_best=save_best))})
    found = sorted(path.name for path in (tmp_path / 'work').glob('best_*'))
    assert found == ['best_toy_cls_epoch_1.pth', 'best_toy_loc_epoch_2.pth'][
        not isinstance(save_best, list):]


def test_loaders_without_workers_keep_none(toy):
    """``num_workers=0`` on the command line comes with the config's persistent workers."""
    for name, settings in dict(
            train=dict(num_workers=0, persistent_workers=True),
            val=dict(num_workers=2, persistent_workers=True),
            test=dict(num_workers=1, persistent_workers=False)).items():
        toy[f'{name}_dataloader'].update(settings)
    toy.default_hooks = dict(logger=None, ema=None, checkpoint_fit=None)
    prepare_config(toy)
    assert [toy[f'{name}_dataloader'].persistent_workers for name in ('train', 'val', 'test')] == [
        False, True, False]
    assert toy.train_dataloader.collate_fn == dict(type='default_collate')
    assert toy.default_hooks.keys() == {'logger', 'checkpoint_fit', 'box_frame', 'class_names'}


def test_a_worker_that_outlives_the_training_does_not_hold_its_lock(tmp_path):
    with lock_work_dir(tmp_path):
        assert f'process {os.getpid()} of' in (tmp_path / '.training.lock').read_text()
        with lock_work_dir(tmp_path, rank=1):  # as part of a job, whose rank 0 holds the lock
            pass
        if not (worker := os.fork()):
            signal.pause()
    try:
        with lock_work_dir(tmp_path):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
