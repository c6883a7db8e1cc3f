"""Every config builds, and what it says is what it is for."""
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS, PARAM_SCHEDULERS
from mmpretrain.structures import DataSample

from cicam_mm.checkpoints.loading import plain_config
from cicam_mm.utils.settings import check_settings

FOLDER = Path(__file__).parents[1] / 'configs'
CONFIGS = sorted(set(FOLDER.rglob('*.py')) - set(FOLDER.glob('_base_/**/*.py')))


def build_model(cfg):
    cfg.model.backbone.pop('init_cfg', None)
    init_default_scope('mmpretrain')
    return MODELS.build(cfg.model)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_parts_fit_together(path, monkeypatch):
    """The head takes the backbone's features, the pool their size, and data their classes."""
    cfg = Config.fromfile(path)
    check_settings(cfg)
    # formatting takes half a second
    monkeypatch.setattr('mmengine.config.config.FormatCode', lambda text, **_: (text, False))
    check_settings(plain_config(cfg.pretty_text, path))  # as runs dump it
    model = build_model(cfg).eval().to('meta')  # shapes without numbers
    size = 96 if 'shapes' in path.stem else 299 if 'inception' in path.stem else 224
    with torch.inference_mode():
        scores = model(torch.zeros(1, 3, size, size, device='meta'))
    assert scores.shape == (1, 4 if 'psol' in path.stem else cfg.model.head.num_classes)
    assert cfg.data_preprocessor.num_classes == cfg.model.head.num_classes
    hooks = [hook.type for hook in cfg.get('custom_hooks', [])]
    assert ('ContextPoolHook' in hooks) == (getattr(model.head, 'pool', None) is not None)


@pytest.mark.parametrize('path', [path for path in CONFIGS if path.parent.name not in (
    'ddt', 'imagenet')], ids=lambda path: path.stem)  # which train nothing
def test_states_the_images_of_a_step(path):
    """So that any number of processes trains the recipe, and one trains it in one pass."""
    cfg = Config.fromfile(path)
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size


def test_ddt_takes_what_is_positive():
    """Above the minimum of a map is nearly the whole image."""
    for path in (FOLDER / 'ddt').glob('*.py'):
        assert build_model(Config.fromfile(path)).head.localizer.floor == 'zero', path


def test_the_paper_where_it_says_anything():
    cfg = Config.fromfile(FOLDER / 'cicam_vgg16_cub_paper.py')
    wrapper = build_optim_wrapper(build_model(cfg), cfg.optim_wrapper)
    assert {group['lr'] for group in wrapper.param_groups} == {5e-4}
    assert cfg.train_dataloader.batch_size == 6 and cfg.train_cfg.max_epochs == 100
    pool = cfg.model.head.pool
    assert (pool['update'], pool.counted, pool.renormalized, pool.projection) == (
        'before', 'all', 'touched', 'shared')
    assert pool.update_rate == .01
    assert cfg.model.head.localizer.theta == 0 and cfg.model.type == 'ImageClassifier'


def test_baseline_differs_from_cicam_in_the_method_alone():
    cicam, baseline = (Config.fromfile(path).to_dict() for path in (
        FOLDER / 'cicam_vgg16_cub_release.py', FOLDER / 'nlccam' / 'nlccam_vgg16_cub_release.py'))
    for cfg, kind in ((cicam, 'DualCAMHead'), (baseline, 'CAMHead')):
        assert cfg['model'].pop('head')['type'] == kind
        cfg.pop('custom_hooks')
    assert cicam == baseline


def test_new_layers_of_inception_start_as_in_the_release():
    """PyTorch's default is uniform within 1 / sqrt(768) = 0.036; the head's has a std of 0.01."""
    model = build_model(Config.fromfile(FOLDER / 'cicam_inceptionv3_cub.py'))
    model.head.init_weights()
    weight = model.head.fc.weight.abs()
    assert weight.max() <= 768**-.5
    assert weight.mean().item() == pytest.approx(768**-.5 / 2, rel=.01)


def test_betas_of_the_paper_where_it_is_the_only_source():
    for name, betas in ('ilsvrc', (.9, .99)), ('cub_paper', (.9, .99)), ('cub', (.9, .999)):
        cfg = Config.fromfile(FOLDER / f'cicam_vgg16_{name}.py')
        assert tuple(cfg.optim_wrapper.optimizer.betas) == betas


@pytest.mark.parametrize('name', ['cicam_resnet50_cub', 'cicam_convnext-tiny_cub'])
def test_any_mmpretrain_backbone_trains(name):
    model = build_model(Config.fromfile(FOLDER / f'{name}.py'))
    model.head.pool.has_updater = True
    losses = model.loss(torch.randn(1, 3, 224, 224), [DataSample().set_gt_label(7)])
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_learning_rate_of_the_release():
    """(1 - epoch / 100)^0.9 times 0.5^(epoch // 14), a tenth for backbone and context."""
    cfg = Config.fromfile(FOLDER / 'cicam_vgg16_cub.py')
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.)
    init_default_scope('mmpretrain')
    schedulers = [PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer))
                  for scheduler in cfg.param_scheduler]
    for epoch in range(100):
        expected = (1 - epoch / 100)**.9 * .5**(epoch // 14)
        assert optimizer.param_groups[0]['lr'] == pytest.approx(expected), epoch
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()


def test_which_parameters_learn_slower():
    cfg = Config.fromfile(FOLDER / 'cicam_vgg16_cub.py')
    model = build_model(cfg)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    rates = {id(p): group['lr'] for group in wrapper.param_groups for p in group['params']}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == pytest.approx(5e-4 if 'head.fc' in name else 5e-5), name


@pytest.mark.parametrize('suffix', ['_tiny_shapes', '_vgg16_cub10_last-stage'])
def test_compared_methods_differ_in_the_method_alone(suffix):
    """Data, schedule, seed, EMA and validation are the same, so that one sweep compares them."""
    paths = {path.stem.removesuffix(suffix): path for path in CONFIGS
             if path.stem.endswith(suffix) and not re.match('pretrain|ddt', path.stem)}
    assert paths.keys() == {'acol', 'adl', 'bas', 'cam', 'cicam', 'cutmix', 'danet', 'eil', 'has',
                            'meil', 'nlccam', 'rethinking-cam', 'spg'} | (
                                {'kgcicam'} if suffix == '_tiny_shapes' else set())
    shared = {method: shared_settings(path, method) for method, path in paths.items()}
    for method, settings in shared.items():
        assert settings == shared['cam'], method


def shared_settings(path, method):
    """A config without what the method is: its head, neck and plugins, its hook, its transform."""
    cfg = Config.fromfile(path).to_dict()
    hooks = [hook['type'] for hook in cfg.pop('custom_hooks', [])]
    assert hooks == (['ContextPoolHook'] if method in ('cicam', 'kgcicam') else [])
    for pipeline in (cfg['train_pipeline'], cfg['train_dataloader']['dataset']['pipeline']):
        hiding = [step for step in pipeline if step['type'] == 'HideAndSeek']
        assert len(hiding) == (method == 'has')
        choosing = [step for step in pipeline if step['type'] == 'ChooseTeacher']
        if method == 'kgcicam':  # draws teachers, but augments no image
            assert not any(choosing[0]['augmentations'].values())
            assert pipeline[-1].pop('algorithm_keys') == ('teacher', )
        pipeline[:] = [step for step in pipeline if step not in hiding + choosing]
    backbone = cfg.pop('model')['backbone']
    if method == 'bas':  # its head has the last stage, and on CUB the stage's learning rate
        paramwise = cfg['optim_wrapper'].get('paramwise_cfg', {}).get('custom_keys', {})
        assert paramwise.pop('head.classifier.last_stage', {}) == paramwise.get('backbone', {})
    return cfg, {key: value for key, value in backbone.items()
                 if key not in ('plugins', 'out_indices', 'pool_sizes', 'strides')}
