"""Settings that nothing reads, or of another kind, are refused before anything is built."""
import importlib.util
import random
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.settings import check_settings, merge_options, parameters, read_config

pytestmark = pytest.mark.stack
spec = importlib.util.spec_from_file_location('mutations', Path(__file__).parent / 'mutations.py')
spec.loader.exec_module(mutations := importlib.util.module_from_spec(spec))


def test_a_sample_of_all_mutations_of_the_demo(tmp_path):
    """``mutations.py`` tries them all."""
    cfg = mutations.small_demo()
    check_settings(cfg)
    every = list(mutations.mutations(cfg))
    assert len(every) > 500
    wrong = {}
    for mutation in random.Random(0).sample(every, 60):
        found = mutations.outcome(cfg, mutation, str(tmp_path))
        if found not in ('refused', 'used'):
            wrong[str(mutation)] = found
    assert not wrong


@pytest.fixture(scope='module')
def demo():
    return Config.fromfile(mutations.DEMO)


@pytest.mark.parametrize(('key', 'value', 'sentence'), [
    ('model.head.pol', {}, 'the setting model.head.pol does not exist: DualCAMHead has no pol; '
     'did you mean pool?'),
    ('model.head.type', 'CAMHed', 'the setting model.head.type does not exist: there is no '
     'CAMHed; did you mean CAMHead?'),
    ('model.head.localizer.theta', 'no', "the setting model.head.localizer.theta is 'no', but "
     'CombinationalLocalizer takes a number.'),
    ('train_dataloader.sampler.shuffle', 'no', "the setting train_dataloader.sampler.shuffle is "
     "'no', but DefaultSampler takes True or False."),
    ('train_dataloader.batchsize', 4, 'the setting train_dataloader.batchsize does not exist: '
     'DataLoader has no batchsize; did you mean batch_size?'),
    ('default_hooks.chekpoint', dict(interval=1), 'the setting default_hooks.chekpoint lacks a '
     'type; did you mean checkpoint?'),
    ('default_hooks.checkpoint.intervall', 1, 'the setting default_hooks.checkpoint.intervall '
     'does not exist: CheckpointHook has no intervall; did you mean interval?'),
    ('env_cfg.mp_cfg.opencv_threads', 0, 'the setting env_cfg.mp_cfg.opencv_threads does not '
     'exist: set_multi_processing has no opencv_threads; did you mean opencv_num_threads?'),
    ('optim_wrapper.paramwise_cfg', dict(custom_keys={'head.fc': dict(lr_mul=2)}),
     'the setting optim_wrapper.paramwise_cfg.custom_keys.head.fc.lr_mul does not exist: '
     'custom_keys has no lr_mul; did you mean lr_mult?'),
    ('resume', 'no', "the setting resume is 'no', but Runner takes True or False."),
    ('modle', {}, 'nothing reads the setting modle of the config; did you mean model?'),
    ('resmue', True, 'nothing reads the setting resmue of the config; did you mean resume?'),
    ('train_pipeline', [], 'the setting train_pipeline has no effect here: '),
    ('train_dataloader.dataset.pipeline.9.prob', 1, 'the setting train_dataloader.dataset.'
     'pipeline.9.prob does not fit the config: '),
    ('data_preprocessor.to_rgb', 'no', "the setting data_preprocessor.to_rgb is 'no', but "
     'ClsDataPreprocessor takes True or False.'),
    ('train_cfg.val_interval', 0, 'the setting train_cfg.val_interval is 0; it must be positive.'),
    ('custom_hooks', [dict(type='FeatureCacheHook', folder='x', views=0)],
     'the setting custom_hooks.0.views is 0; it must be positive.'),
    ('optim_wrapper.clip_grad', dict(max_norm=-1), 'the setting optim_wrapper.clip_grad.max_norm '
     'is -1; it must be positive.'),
    ('param_scheduler', [dict(type='StepLR', step_size=0)], 'the setting param_scheduler.0.step_'
     'size is 0; it must be positive.'),
    ('train_dataloader', [1], 'the setting train_dataloader is [1], but Runner takes '),
    ('train_dataloader.dataset', [{}], 'the setting train_dataloader.dataset is [{}], but '
     'DataLoader takes a dict.'),
    ('default_hooks', [dict(type='LoggerHook')], 'the setting default_hooks is [{'),
    ('default_hooks.logger.priority', 'LOWER', "the setting default_hooks.logger.priority is "
     "'LOWER', but LoggerHook takes 'HIGHEST' or "),
    ('env_cfg.mp_cfg.mp_start_method', 'frok', "the setting env_cfg.mp_cfg.mp_start_method is "
     "'frok', but set_multi_processing takes 'fork' or 'forkserver' or 'spawn'."),
    ('log_level', 'INF', "the setting log_level is 'INF', but Runner takes 'CRITICAL' or "),
    ('custom_imports.imports', 'absent', 'the setting custom_imports cannot be followed: '),
])
def test_options(demo, key, value, sentence):
    cfg = Config(demo.to_dict(), filename=demo.filename, cfg_text=demo.text)
    with pytest.raises(UserError) as error:
        merge_options(cfg, {key: value})
        check_settings(cfg)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(('child', 'sentence'), [
    ("data_root = 'mine'", 'the setting data_root has no effect here'),
    ("trian_cfg = dict(max_epochs=1)",
     r'nothing reads the setting trian_cfg of the config; did you mean train_cfg\?'),
    ("data_root = 'mine'\ntrain_dataloader = dict(dataset=dict(data_root=data_root))", None),
    ("steps = _base_.steps + 1", None),
    ("data_root = 'data'  # as in the base", None),
])
def test_names_of_a_config_that_inherits(tmp_path, child, sentence):
    (tmp_path / 'base.py').write_text(
        "data_root, steps = 'data', 3\ndata_root = 'data'\nmodel = dict(type='ImageClassifier', "
        "backbone=dict(type='VGG', depth=11))\ntrain_dataloader = dict(dataset=dict("
        "type='CUB', data_root=data_root), num_workers=steps)\n")
    (tmp_path / 'mine.py').write_text(f"_base_ = 'base.py'\n{child}\n")
    cfg = read_config(tmp_path / 'mine.py')
    if sentence is None:
        check_settings(cfg)
        (tmp_path / 'dump.py').write_text(cfg.pretty_text)
        check_settings(read_config(tmp_path / 'dump.py'))
    else:
        with pytest.raises(UserError, match=sentence):
            check_settings(cfg)


class Base(Hook):
    def __init__(self, passed: int = 1):
        pass


class PassesOn(Base):
    def __init__(self, own, **kwargs):
        kwargs.pop('taken', None)
        super().__init__(**kwargs)


class Keeps(Base):
    def __init__(self, **options):
        self.options = options


def test_types_by_class_and_arguments_of_base_classes(demo):
    assert parameters(PassesOn)[0].keys() == {'own', 'taken', 'passed'}
    assert parameters(PassesOn)[0]['passed'] == (int, 1) and not parameters(PassesOn)[1]
    assert parameters(Keeps) == ({}, True)
    cfg = Config(demo.to_dict())
    cfg.custom_hooks = [dict(type=PassesOn, own=1, passed=2, priority='LOW'),
                        dict(type='mmengine.EMAHook', momentum=0.1), dict(type=Keeps, any=1)]
    check_settings(cfg)
    cfg.custom_hooks[0].passed = 'x'
    with pytest.raises(UserError, match="custom_hooks.0.passed is 'x', but PassesOn takes an int"):
        check_settings(cfg)
    assert HOOKS.get('PassesOn') is None


def test_base_config_of_the_package(tmp_path):
    name = 'cam/cam_tiny_shapes.py'
    (tmp_path / 'mine.py').write_text(f"_base_ = 'cicam_mm::{name}'\nlog_level = 'ERROR'\n")
    (tmp_path / 'other.py').write_text("_base_ = 'cicam_mm::cam/tiny.py'\n")
    expected = Config.fromfile(mutations.DEMO.parent / name)
    expected.log_level = 'ERROR'
    found = read_config(tmp_path / 'mine.py')
    for cfg in (found, expected):  # the package links to the folder of configs
        weights = cfg.model.backbone.init_cfg
        weights.checkpoint = str(Path(weights.checkpoint).resolve())
    # nothing is marked to be looked up in registries of the package, which has none
    assert found.to_dict() == expected.to_dict()
    with pytest.raises(UserError, match='cicam_mm has no config cam/tiny.py; its configs are in'):
        read_config(tmp_path / 'other.py')
    (tmp_path / 'theirs.py').write_text(
        "_base_ = 'mmpretrain::_base_/schedules/imagenet_bs256.py'\n")
    assert read_config(tmp_path / 'theirs.py').auto_scale_lr == dict(base_batch_size=256)
