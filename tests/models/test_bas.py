"""BAS's loss by hand, and what learns from it."""
from functools import partial

import pytest
import torch
from head_parts import build_head, labelled
from mmengine.config import Config
from mmpretrain.registry import MODELS
from torch import nn

from cicam_mm.models import NonLocalVGG
from cicam_mm.models.bas import remaining_activation

build = partial(build_head, 'BASHead')


def test_remaining_activation_by_hand():
    background = torch.tensor([1., 4, 5, 0], requires_grad=True)
    whole = torch.tensor([2., 4, 4, 0], requires_grad=True)
    assert remaining_activation(background, whole).tolist() == [.5, 0, 0, 0]
    remaining = remaining_activation(background, whole, count_ties=True)
    assert remaining.tolist() == [.5, 1, 0, 0]
    remaining.sum().backward()
    torch.testing.assert_close(background.grad, torch.tensor([.5, .25, 0, 1e8]))
    assert whole.grad is None


class Ones(nn.Module):
    """A last stage and classifier of one class whose map is the sum over the channels."""

    def forward(self, x):
        return nn.functional.avg_pool2d(x, 2).sum(dim=1, keepdim=True)


class SumOfScores(nn.Module):

    def forward(self, scores, labels, avg_factor):
        return scores.sum()


def test_terms_by_hand():
    head = build(guidance_weight=.5, area_weight=2.)
    head.classifier = Ones()
    nn.init.zeros_(head.generator.weight)
    nn.init.zeros_(head.generator.bias)  # a foreground of 1/2 everywhere
    features = torch.full((1, 2, 4, 4), 3.)
    head.loss_module = SumOfScores()
    losses = head.loss((features, ), labelled(0))
    # map 6, so S = 6, guided 3, S_b = 3
    assert {name: loss.item() for name, loss in losses.items()} == dict(
        loss_cls=6, loss_guidance=.5 * 3, loss_background=.5, loss_area=2 * .5)


@pytest.mark.parametrize('name', ['_resnet50_cub', '_tiny_shapes'])
def test_backbone_and_last_stage_are_the_whole_network(name, request):
    """Loaded from one file, they compute what the undivided backbone computes."""
    cfg = Config.fromfile(request.config.rootpath / f'configs/bas/bas{name}.py').model
    for part in cfg.backbone, cfg.head.last_stage:
        part.pop('init_cfg')
        part.pop('frozen_stages', None)
    if 'resnet' in name:
        cfg.backbone.depth = cfg.head.last_stage.depth = 18  # the names are the same
        cfg.head.update(in_channels=256, stage_channels=512, hidden_channels=4)
        whole = MODELS.build(dict(type='ResNet', depth=18, strides=(1, 2, 1, 1)))
    else:
        options = dict(cfg.head.last_stage, out_indices=(-2, -1))
        options.pop('first_stage')
        whole = MODELS.build(options)
    model = MODELS.build(cfg)
    state = whole.state_dict()
    for part in model.backbone, model.head.classifier.last_stage:
        assert not part.load_state_dict(
            {name: state[name] for name in part.state_dict()}).missing_keys
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        features, = model.eval().backbone(images)
        found = model.head.classifier.last_stage(nn.functional.max_pool2d(features, 2))[-1]
        if 'resnet' in name:
            whole.eval()
            whole.layer4.register_forward_pre_hook(
                lambda module, args: nn.functional.max_pool2d(args[0], 2))
        torch.testing.assert_close(found, whole(images)[-1])


def test_last_stages_take_weights_of_torchvision(tmp_path):
    whole = NonLocalVGG(depth=11, base_channels=1, non_local_stages=())
    convolutions = [module for module in whole.modules() if isinstance(module, nn.Conv2d)]
    # as in torchvision's vgg11: two modules a convolution, and the pools
    state = {f'features.{place}.{name}': value
             for place, conv in zip((0, 3, 6, 8, 11, 13, 16, 18), convolutions, strict=True)
             for name, value in conv.state_dict().items()}
    last = NonLocalVGG(depth=11, base_channels=1, non_local_stages=(), first_stage=5)
    last.load_state_dict(state, strict=False)
    own = last.state_dict()
    assert len(own) == 4
    assert all(value.equal(whole.state_dict()[name]) for name, value in own.items())
