"""Any number of processes trains the recipe that a config states: real processes, gloo."""
import os

import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel
from rank import small_config
from torch import nn

from cicam_mm.engine.runner import build_runner
from cicam_mm.models.non_local import TotalBatchNorm

STEPS = 10


class Seen(Hook):
    """Images and rates of each step."""

    def __init__(self):
        self.images, self.rates = [], []

    def before_train_iter(self, runner, batch_idx, data_batch):
        self.images.append(len(data_batch['inputs']))
        self.rates.append(max(runner.optim_wrapper.get_lr()['lr']))


def train(work_dir):
    """Sixty demo images, six a step, through the demo's CI-CAM with non-local blocks."""
    cfg = small_config(work_dir, **{
        'launcher': 'pytorch' if 'RANK' in os.environ else 'none', 'resume': False,
        'log_level': 'INFO', 'train_cfg.max_epochs': 1, 'param_scheduler': [],
        'train_dataloader.batch_size': 6, 'auto_scale_lr.base_batch_size': 6,
        'train_dataloader.dataset.num_images': 6 * STEPS,
        'model.backbone.frozen_stages': 0, 'model.backbone.non_local_stages': (2, 3),
        'model.backbone.init_cfg': [dict(type='Kaiming', layer=['Conv2d'])],
        'model.head.pool.counted': 'all',
        # Otherwise Adam makes full steps of gradients that are rounding errors, those of biases
        # that BN or the softmax remove.
        'optim_wrapper.optimizer.eps': 1e-3,
    })
    runner, seen = build_runner(cfg), Seen()
    runner.register_hook(seen)
    # whose convolutions round an image differently in a batch of another size
    with torch.backends.mkldnn.flags(enabled=False):
        runner.train()
    model = runner.model.module if isinstance(
        runner.model, MMDistributedDataParallel) else runner.model
    return seen.images, seen.rates, model.state_dict()


def test_two_of_three_images_train_what_one_of_six_trains(run_ranks, tmp_path):
    (alone, rates, expected), = run_ranks(train, 1, tmp_path / 'alone')
    assert alone == [6] * STEPS and rates == [2e-3] * STEPS
    assert expected['head.pool.pool'].any()
    for images, rates, state in run_ranks(train, 2, tmp_path / 'shared'):
        assert images == [3] * STEPS and rates == [2e-3] * STEPS
        for name, value in expected.items():
            torch.testing.assert_close(state[name], value, rtol=1e-4, atol=1e-6,
                                       msg=lambda text, name=name: f'{name}: {text}')


def normalize(images):
    """Two training steps of BN on this rank's share; output, gradients, statistics."""
    rank, world_size = 0, 1
    torch.manual_seed(0)
    norm = TotalBatchNorm(4)
    nn.init.normal_(norm.weight)
    if 'RANK' in os.environ:
        dist.init_process_group('gloo')
        rank, world_size = dist.get_rank(), dist.get_world_size()
    for _ in range(2):
        x = images.clone()[rank::world_size].requires_grad_()
        y = norm(x)
        weights = torch.arange(y[0].numel()).view_as(y[0]) % 7
        (y * weights).square().sum().backward()
    return y.detach(), x.grad, norm.weight.grad, norm.running_mean, norm.running_var


def test_norm_of_the_total_batch(run_ranks):
    """Three shares, one of them smaller, against PyTorch's BN of all images."""
    images = torch.randn(5, 4, 3, 2) * 3 + 1
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4)
    nn.init.normal_(norm.weight)
    for _ in range(2):
        x = images.clone().requires_grad_()
        y = norm(x)
        (y * (torch.arange(24).view(4, 3, 2) % 7)).square().sum().backward()
    parts = run_ranks(normalize, 3, images)
    torch.testing.assert_close(sum(part[2] for part in parts), norm.weight.grad)
    for rank, (output, gradient, _, mean, variance) in enumerate(parts):
        torch.testing.assert_close(output, y[rank::3])
        torch.testing.assert_close(gradient, x.grad[rank::3], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(mean, norm.running_mean)
        torch.testing.assert_close(variance, norm.running_var)
