"""DDT is fitted by a run: on one rank as on two, resumed as undisturbed; PSOL trains likewise."""
import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from rank import EPOCHS, ROOT, small_config, small_runner

from cicam_mm.engine.runner import build_runner
from cicam_mm.utils.errors import UserError


def fit_config(work_dir, passes=2):
    """The demo's config of DDT, cut down as :func:`small_config` cuts that of CI-CAM."""
    cfg, small = Config.fromfile(ROOT / 'configs/ddt/ddt_tiny_shapes.py'), small_config(work_dir)
    for key in ('launcher', 'resume', 'work_dir', 'log_level'):
        cfg[key] = small[key]
    loader = copy.deepcopy(cfg.train_dataloader)
    loader.update(num_workers=0, batch_size=3)
    loader.dataset.num_images = 20  # odd numbers of batches and images for each of two ranks
    cfg.merge_from_dict({
        'train_dataloader': loader, 'train_cfg.max_epochs': passes, 'train_cfg.val_interval': 2,
        'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None})
    return cfg


def fit(work_dir, stop_after=None):
    """The fitted buffers of the head."""
    runner = build_runner(fit_config(Path(work_dir)))

    class Stop(Hook):
        priority = 'VERY_LOW'  # after the checkpoint

        def after_train_epoch(self, runner):
            runner.train_loop.stop_training = runner.epoch + 1 == stop_after

    runner.register_hook(Stop())
    runner.train()
    model = getattr(runner.model, 'module', runner.model)
    return {name: buffer.clone() for name, buffer in model.head.named_buffers()}


def test_two_ranks_are_one_and_resume_is_undisturbed(run_ranks, tmp_path):
    one, = run_ranks(fit, 1, tmp_path / 'one')
    assert one['component'].norm(dim=1).allclose(torch.ones(6))
    run_ranks(fit, 1, tmp_path / 'resumed', 1)
    resumed, = run_ranks(fit, 1, tmp_path / 'resumed')
    assert all(resumed[name].equal(value) for name, value in one.items())
    two = run_ranks(fit, 2, tmp_path / 'two')
    for name, value in one.items():
        assert two[0][name].equal(two[1][name])
        torch.testing.assert_close(two[0][name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('options, sentence', [
    ({'train_cfg.max_epochs': 3}, 'DDTHead is fitted in 2 passes'),
    ({'model.head': dict(_delete_=True, type='CAMHead', num_classes=6, in_channels=32)},
     'CAMHead is trained, not fitted'),
])
def test_other_heads_and_passes_are_refused(options, sentence, tmp_path):
    cfg = fit_config(tmp_path)
    cfg.merge_from_dict({'launcher': 'none', **options})
    runner = build_runner(cfg)
    with pytest.raises(UserError, match=sentence):
        runner.train()


def train_psol(work_dir, epochs=EPOCHS):
    """The losses of all steps and the weights, from boxes in place of predicted ones."""
    runner = small_runner(Path(work_dir), **{
        'model.head': dict(_delete_=True, type='PSOLHead', num_classes=6, in_channels=16),
        'custom_hooks': [], 'train_cfg.max_epochs': epochs,
        'train_dataloader.dataset.pipeline': [
            dict(type='SeedPerSample'),
            dict(type='LoadAnnotations', with_bbox=True, with_label=False),
            dict(type='RandomResizedCropWithBoxes', scale=96, crop_ratio_range=(.2, 1.)),
            dict(type='RandomFlip', prob=.5, direction='horizontal'),
            dict(type='PackInputs', algorithm_keys=('gt_bboxes', ))],
        'optim_wrapper.optimizer': dict(type='SGD', lr=.01)})
    losses = []

    class Record(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch, outputs):
            losses.append(outputs['loss'].item())

    runner.register_hook(Record())
    runner.train()
    model = getattr(runner.model, 'module', runner.model)
    return losses, {name: value.clone() for name, value in model.state_dict().items()}


def test_psol_trains(run_ranks, tmp_path):
    (losses, state), = run_ranks(train_psol, 1, tmp_path / 'one')
    assert sum(losses[-3:]) < sum(losses[:3])
    run_ranks(train_psol, 1, tmp_path / 'resumed', EPOCHS // 2)
    (later, resumed), = run_ranks(train_psol, 1, tmp_path / 'resumed')
    assert later == losses[len(losses) // 2:]
    assert all(resumed[name].equal(value) for name, value in state.items())
    ranks = run_ranks(train_psol, 2, tmp_path / 'two')
    of_both = [sum(pair) / 2 for pair in zip(ranks[0][0], ranks[1][0], strict=True)]
    torch.testing.assert_close(of_both, losses, rtol=1e-4, atol=0)
    assert all(ranks[0][1][name].equal(ranks[1][1][name]) for name in state)


def test_half_precision():
    """Features under autocast are bfloat16; what is fitted and predicted is nearly the same."""
    features = torch.rand(2, 4, 6, 6)
    samples = [DataSample().set_gt_label(label) for label in (0, 1)]
    found = []
    for each in features, features.bfloat16():
        torch.manual_seed(0)
        ddt, psol = (MODELS.build(dict(type=kind, num_classes=2, in_channels=4))
                     for kind in ('DDTHead', 'PSOLHead'))
        for number in range(2):
            ddt.start_pass(number)
            ddt.observe((each, ), samples, number)
            ddt.finish_pass(number)
        with torch.autocast('cpu', torch.bfloat16, enabled=each is not features):
            found.append((ddt.localize((each, ))[0].float(), psol((each, )).float()))
    torch.testing.assert_close(*found, rtol=.02, atol=.02)
