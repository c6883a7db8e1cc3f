"""Settings that nothing reads, or of another kind, are refused before anything is built."""
import random
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cicam_mm.engine.runner import build_runner
from cicam_mm.utils.errors import UserError, as_sentence
from cicam_mm.utils.settings import (
    check_settings,
    merge_options,
    parameters,
    read_config,
    top_level_settings,
)

pytestmark = pytest.mark.stack
DEMO = Path(__file__).parents[2] / 'configs' / 'cicam_tiny_shapes.py'


@pytest.fixture
def small_demo():
    """The demo with a dozen images, which trains in a second."""
    cfg = Config.fromfile(DEMO)
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
    cfg.param_scheduler[0] |= dict(T_max=1, end=1)
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        loader.update(batch_size=3, num_workers=0, persistent_workers=False)
        loader.dataset.num_images = 6
    cfg.log_level = 'ERROR'
    return cfg


def mutations(settings, path=()):
    """Each setting misspelt, None, of another type, negative; each dict with an unknown one."""
    items = enumerate(settings) if isinstance(settings, list) else settings.items()
    for key, value in items:
        here = (*path, key)
        if here[0] not in top_level_settings() - {'custom_imports'}:
            continue
        if isinstance(key, str) and path and path[-1] != 'default_hooks':
            yield 'misspelt', here, None
        if value is not None:
            yield 'none', here, None
        yield 'type', here, 7 if isinstance(value, str) else 'no'
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            yield 'negative', here, -value
        if isinstance(value, Mapping):
            yield 'unknown', (*here, 'surplus'), 1
        if isinstance(value, (Mapping, list)):
            yield from mutations(value, here)


def mutated(cfg, kind, path, value):
    cfg = deepcopy(cfg)
    if len(path) == 1:
        merge_options(cfg, {path[0]: value})
        return cfg
    owner, key = cfg, path[-1]
    for name in path[:-1]:
        owner = owner[name]
    if kind == 'misspelt':  # without the last letter
        owner[key[:-1] or 'x'] = owner.pop(key)
    else:
        owner[key] = value
    return cfg


def test_a_sample_of_all_mutations_of_the_demo(small_demo, tmp_path):
    """Each is refused in a sentence, or used; a name that nothing reads is always refused."""
    check_settings(small_demo)
    every, wrong = list(mutations(small_demo)), {}
    assert len(every) > 500
    for number, (kind, path, value) in enumerate(random.Random(0).sample(every, 60)):
        try:
            cfg = mutated(small_demo, kind, path, value)
            cfg.setdefault('work_dir', str(tmp_path))
            cfg.experiment_name = f'{tmp_path.name}_{number}'  # runs of one name share loggers
            runner = build_runner(cfg)
            (runner.test if path[0].startswith('test') else runner.train)()
            found = 'nothing reads it' if kind in ('misspelt', 'unknown') else None
        except Exception as error:
            found = None if as_sentence(error) else f'{type(error).__name__}: {error}'
        if found:
            wrong[kind, path, value] = found
    assert not wrong


@pytest.fixture(scope='module')
def demo():
    return Config.fromfile(DEMO)


@pytest.mark.parametrize(('key', 'value', 'sentence'), [
    ('model.head.pol', {}, 'the setting model.head.pol does not exist: DualCAMHead has no pol; '
     'did you mean pool?'),
    ('model.head.type', 'CAMHed', 'the setting model.head.type does not exist: there is no '
     'CAMHed; did you mean CAMHead?'),
    ('model.head.localizer.theta', 'no', "the setting model.head.localizer.theta is 'no', but "
     'CombinationalLocalizer takes float.'),
    ('train_dataloader.batchsize', 4, 'the setting train_dataloader.batchsize does not exist: '
     'DataLoader has no batchsize; did you mean batch_size?'),
    ('default_hooks.chekpoint', dict(interval=1), 'the setting default_hooks.chekpoint lacks a '
     'type; did you mean checkpoint?'),
    ('default_hooks.checkpoint.intervall', 1, 'the setting default_hooks.checkpoint.intervall '
     'does not exist: CheckpointHook has no intervall; did you mean interval?'),
    ('env_cfg.mp_cfg.opencv_threads', 0, 'the setting env_cfg.mp_cfg.opencv_threads does not '
     'exist: set_multi_processing has no opencv_threads; did you mean opencv_num_threads?'),
    ('optim_wrapper.paramwise_cfg', dict(custom_keys={'head.fc': dict(lr_mul=2)}),
     'the setting optim_wrapper.paramwise_cfg.custom_keys.head.fc.lr_mul does not exist: '),
    ('resume', 'no', "the setting resume is 'no', but Runner takes bool."),
    ('modle', {}, 'nothing reads the setting modle of the config; did you mean model?'),
    ('train_pipeline', [], 'the setting train_pipeline has no effect here: '),
    ('train_dataloader.dataset.pipeline.9.prob', 1, 'the setting train_dataloader.dataset.'
     'pipeline.9.prob does not fit the config: '),
    ('optim_wrapper.clip_grad', dict(max_norm=-1), 'the setting optim_wrapper.clip_grad.max_norm '
     'is -1; it must be positive.'),
    ('train_dataloader', [1], 'the setting train_dataloader is [1], but Runner takes '),
    ('train_dataloader.dataset', [{}], 'the setting train_dataloader.dataset is [{}], but '
     'DataLoader takes dict.'),
    ('log_level', 'INF', "the setting log_level is 'INF', but Runner takes Literal['CRITICAL', "),
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
    with pytest.raises(UserError, match="custom_hooks.0.passed is 'x', but PassesOn takes int"):
        check_settings(cfg)
    assert HOOKS.get('PassesOn') is None


def test_base_config_of_the_package(tmp_path):
    name = 'cam/cam_tiny_shapes.py'
    (tmp_path / 'mine.py').write_text(f"_base_ = 'cicam_mm::{name}'\nlog_level = 'ERROR'\n")
    (tmp_path / 'other.py').write_text("_base_ = 'cicam_mm::cam/tiny.py'\n")
    expected = Config.fromfile(DEMO.parent / name)
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
