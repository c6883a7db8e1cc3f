"""What a GPU will meet: no waiting for the device, types of mixed precision."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample
from torch.utils._python_dispatch import TorchDispatchMode

pytestmark = pytest.mark.usefixtures('on_device')

aten = torch.ops.aten

SIDE = 64


@pytest.fixture
def model():
    model = MODELS.build(dict(
        type='ImageClassifier',
        backbone=dict(type='NonLocalVGG', depth=11, base_channels=4),
        head=dict(type='DualCAMHead', num_classes=7, in_channels=32,
                  pool=dict(size=(4, 4), counted='all'))))
    for block in model.backbone.non_local.values():
        torch.nn.init.constant_(block.norm.weight, 0.1)
    model.head.pool.has_updater = True
    return model


class Waits(TorchDispatchMode):
    """Collects the operations for which a host waits until the device has come so far."""

    WAITING = {aten._local_scalar_dense, aten.nonzero, aten.equal, aten.masked_select,
               aten._unique2, aten.is_nonzero}

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        moves = function.overloadpacket is aten._to_copy and 'device' in (kwargs or {})
        if function.overloadpacket in self.WAITING or moves:
            self.found.append(str(function))
        return function(*args, **kwargs or {})


@pytest.mark.parametrize('renormalized', ['all', 'touched'])
def test_training_waits_for_no_value(model, renormalized):
    """Forward, backward and the pool's update; how an optimizer counts its steps is torch's."""
    model.head.pool.renormalized = renormalized
    hooks = [HOOKS.build(dict(type=name)) for name in ('NonFiniteLossHook', 'ContextPoolHook')]
    optimizer = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=1e-3)))
    runner = SimpleNamespace(model=model, optim_wrapper=optimizer, iter=0)
    for hook in hooks:
        hook.before_train(runner)
    samples = [DataSample().set_gt_label(label) for label in torch.tensor([0, 3, 6])]
    images = torch.randn(3, 3, SIDE, SIDE)
    with Waits() as waits:
        losses = model(images, samples, mode='loss')
        loss = sum(losses.values())
        optimizer.update_params(loss)
        for hook in hooks:
            hook.after_train_iter(runner, 0, dict(data_samples=samples), dict(loss=loss))
    assert waits.found == []
    assert model.head.pool.pool.any()
    with Waits() as waits:  # the count does count
        losses['loss_initial'].item()
    assert len(waits.found) == 1


@pytest.mark.parametrize('kind', [torch.bfloat16, torch.float16])
def test_mixed_precision(model, kind, device):
    """Features are narrow; losses, the pool, and what is localized are float32."""
    images, labels = torch.randn(3, 3, SIDE, SIDE), torch.tensor([0, 3, 6])
    samples = [DataSample(metainfo=dict(img_shape=(SIDE, SIDE), ori_shape=(SIDE, SIDE)))
               .set_gt_label(label) for label in labels]
    pool, results = model.head.pool, []
    for enabled in (False, True):
        pool.pool.zero_()
        model.train()
        with torch.autocast(device, dtype=kind, enabled=enabled):
            features, = model.extract_feat(images)
            losses = model.loss(images, samples)
        assert features.dtype == (kind if enabled else torch.float32)
        assert all(loss.dtype == torch.float32 for loss in losses.values())
        pool.update(*pool.take_pending())
        assert pool.pool.dtype == torch.float32
        model.zero_grad()
        sum(losses.values()).backward()
        gradient = model.head.fc.weight.grad.clone()
        model.eval()
        with torch.no_grad(), torch.autocast(device, dtype=kind, enabled=enabled):
            sample = model.predict(images, samples)[0]
        assert sample.score_map.dtype == sample.pred_score.dtype == torch.float32
        results.append((sum(losses.values()).detach(), pool.pool.clone(), gradient))
    exact, mixed = results
    torch.testing.assert_close(mixed[0], exact[0], rtol=0.02, atol=0)
    for narrow, full in zip(mixed[1:], exact[1:], strict=True):
        assert (narrow - full).norm() < 0.1 * full.norm()
