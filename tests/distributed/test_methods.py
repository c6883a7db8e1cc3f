"""Every method trains on the demo set, resumes, is the same on two ranks, and mixes precisions."""
import faulthandler
from copy import deepcopy

import numpy as np
import pytest
import torch
from head_parts import labelled
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpretrain.registry import MODELS
from rank import EPOCHS, ROOT, STEPS, read_once, small_runner

from cicam_mm.models import find_pools

CONFIGS = {name: f'{name}/{name}' for name in (
    'acol', 'adl', 'bas', 'cam', 'cutmix', 'danet', 'eil', 'has', 'kgcicam', 'rethinking-cam',
    'scm', 'spg', 'ts-cam')} | {
        'kg-teacher': 'kgcicam/kgcicam', 'meil': 'eil/meil', 'psol': 'cam/cam'}
TRANSFORMERS = ('scm', 'ts-cam')
METHODS = sorted(CONFIGS)
# CutMix pastes within the images that a process has, so two processes do otherwise than one.
ALONE = ('cutmix', )


def load(method):
    kind = 'tiny-deit' if method in TRANSFORMERS else 'tiny'
    part = '_loc-teacher' if method == 'kg-teacher' else ''
    cfg = deepcopy(read_once(ROOT / f'configs/{CONFIGS[method]}_{kind}_shapes{part}.py'))
    if method == 'psol':  # from true boxes in place of predicted ones
        cfg.model.head = dict(type='PSOLHead', num_classes=6)
        cfg.train_dataloader.dataset.pipeline = [
            dict(type='SeedPerSample'),
            dict(type='LoadAnnotations', with_bbox=True, with_label=False),
            dict(type='RandomResizedCropWithBoxes', scale=96, crop_ratio_range=(.2, 1.)),
            dict(type='RandomFlip', prob=.5, direction='horizontal'),
            dict(type='PackInputs', algorithm_keys=('gt_bboxes', ))]
    return cfg


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    """Folder with config and random weights of both teachers of KG-CI-CAM."""
    folder = tmp_path_factory.mktemp('teacher')
    model = shrunk('kg-teacher', folder)
    Config(dict(default_scope='mmpretrain', model=model)).dump(folder / 'teacher.py')
    torch.manual_seed(1)
    torch.save(MODELS.build(model).state_dict(), folder / 'teacher.pth')
    return folder


def shrunk(method, teacher_folder):
    """The model of the demo config, on four channels instead of 16."""
    cfg = load(method)
    if method in TRANSFORMERS:
        cfg.model.backbone.arch = dict(
            embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=24)
        cfg.model.head.in_channels = 24
        return cfg.model
    cfg.model.backbone.base_channels = 4
    if method == 'danet':
        cfg.model.head.update(in_channels=(8, 16), hidden_channels=(8, 16))
    elif method == 'bas':
        cfg.model.head.update(in_channels=8, stage_channels=16, hidden_channels=8)
        cfg.model.head.last_stage.update(base_channels=4, init_cfg=None)
    elif method == 'spg':
        cfg.model.head.update(in_channels=(8, 16), hidden_channels=8)
    else:
        cfg.model.head.in_channels = 16
    if method == 'acol':
        cfg.model.head.hidden_channels = 8
    if method == 'kgcicam':
        # the released divergence falls with the number of images that have this teacher
        cfg.model.kl = 'correct'
        for teacher in cfg.model.teachers.values():
            teacher.update(config=f'{teacher_folder}/teacher.py',
                           checkpoint=f'{teacher_folder}/teacher.pth')
    return cfg.model


def train(work_dir, method, teacher):
    """The losses of all steps, and the weights at the end."""
    cfg = load(method)
    runner = small_runner(work_dir, **{
        # runs of one name share their logger
        'experiment_name': f'{work_dir} {len([*work_dir.glob("*.pth")])}',
        'model': dict(_delete_=True, **shrunk(method, teacher)),
        'custom_hooks': cfg.get('custom_hooks', []),
        'train_dataloader.dataset.pipeline': cfg.train_dataloader.dataset.pipeline,
        'optim_wrapper.optimizer': dict(type='SGD', lr=.01 if method == 'psol' else .05)})
    losses = []

    class Record(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch, outputs):
            losses.append(outputs['loss'].item())

    runner.register_hook(Record())
    runner.train()
    model = runner.model.module
    return losses, {name: value.clone() for name, value in model.state_dict().items()}


def train_all(folder, teacher, resumes):
    """By method, losses and weights of a training, and those of its last epoch done again."""
    results = {}
    for method in METHODS:
        faulthandler.dump_traceback_later(30)  # where it hangs, should it do so
        work_dir = folder / method
        results[method] = [train(work_dir, method, teacher)]
        if resumes:
            (work_dir / f'epoch_{EPOCHS}.pth').unlink()
            results[method].append(train(work_dir, method, teacher))
    return results


@pytest.fixture(scope='module')
def trained(run_ranks, teacher, tmp_path_factory):
    """What one rank trains, and each of two; all methods in the same processes."""
    return [run_ranks(train_all, ranks, tmp_path_factory.mktemp('trained'), teacher, ranks == 1,
                      timeout=600) for ranks in (1, 2)]


@pytest.mark.parametrize('method', METHODS)
def test_two_ranks_are_one_and_resume_is_undisturbed(trained, method):
    (one, ), ranks = trained
    (losses, state), (later, resumed) = one[method]
    assert sum(losses[-STEPS:]) < sum(losses[:STEPS])
    assert later == losses[-STEPS:]
    assert all(resumed[name].equal(value) for name, value in state.items())
    (of_first, first), (of_second, second) = (rank[method][0] for rank in ranks)
    assert all(first[name].equal(second[name]) for name in state)
    if method not in ALONE:
        of_both = [sum(pair) / 2 for pair in zip(of_first, of_second, strict=True)]
        # the blocks of SCM magnify rounding
        factor = 10 if method == 'scm' else 1
        torch.testing.assert_close(of_both, losses, rtol=1e-4 * factor, atol=0)
        torch.testing.assert_close(first, state, rtol=1e-3 * factor, atol=1e-5 * factor)


@pytest.mark.parametrize('method', METHODS)
def test_half_precision(teacher, method):
    """Under autocast features are bfloat16; losses and gradients are finite, as in float32."""
    model = MODELS.build(shrunk(method, teacher))
    for pool in find_pools(model):
        pool.has_updater = True
    images = torch.randn(2, 3, 96, 96)
    samples = labelled(0, 1, size=(96, 96))
    for sample, teacher in zip(samples, ('classification', 'localization'), strict=True):
        sample.set_field(teacher, 'teacher')
        sample.set_field(np.array([[10., 20, 60, 50]]), 'gt_bboxes', dtype=np.ndarray)

    def loss():
        torch.manual_seed(0)
        return sum(model.loss(images, samples).values())

    with torch.autocast('cpu', torch.bfloat16):
        # a transformer sums up its attention in float32
        expected = torch.float32 if method in TRANSFORMERS else torch.bfloat16
        assert model.extract_feat(images)[-1].dtype == expected
        mixed = loss()
        predicted = model.eval().predict(images, samples)
    mixed.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    model.train()
    torch.testing.assert_close(mixed, loss(), rtol=.02, atol=0)
    assert method == 'psol' or all(
        sample.score_map.dtype == torch.float32 for sample in predicted)
