"""DDT is fitted by a run: on one rank as on two, resumed as undisturbed."""
import copy

import pytest
import torch
from mmengine.config import Config
from rank import ROOT, small_config

from cicam_mm.engine.runner import build_runner
from cicam_mm.utils.errors import UserError


def fit_config(work_dir):
    """The demo's config of DDT, cut down as :func:`small_config` cuts that of CI-CAM."""
    cfg, small = Config.fromfile(ROOT / 'configs/ddt/ddt_tiny_shapes.py'), small_config(work_dir)
    for key in ('launcher', 'resume', 'work_dir', 'log_level'):
        cfg[key] = small[key]
    loader = copy.deepcopy(cfg.train_dataloader)
    loader.update(num_workers=0, batch_size=3)
    loader.dataset.num_images = 20  # odd numbers of batches and images for each of two ranks
    cfg.merge_from_dict({
        'train_dataloader': loader, 'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 2,
        'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None})
    return cfg


def fit(work_dir):
    """The fitted buffers of the head."""
    runner = build_runner(fit_config(work_dir))
    runner.train()
    model = getattr(runner.model, 'module', runner.model)
    return {name: buffer.clone() for name, buffer in model.head.named_buffers()}


def test_two_ranks_are_one_and_resume_is_undisturbed(run_ranks, tmp_path):
    one, = run_ranks(fit, 1, tmp_path / 'one')
    assert one['component'].norm(dim=1).allclose(torch.ones(6))
    (tmp_path / 'one' / 'epoch_2.pth').unlink()
    resumed, = run_ranks(fit, 1, tmp_path / 'one')
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
