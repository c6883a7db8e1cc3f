"""The compared models: CI-CAM and the classifier it is built on."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmpretrain.registry import MODELS

from cicam_mm.apis import WSOLInferencer

CONFIGS = Path(__file__).parents[2] / 'configs'
SIDE = 224
PLAIN = 'VGG16, linear classifier'


def plain_classifier(num_classes: int) -> torch.nn.Module:
    """VGG16's convolutions, mmpretrain's own, with one linear layer."""
    return _classifier(dict(type='VGG', depth=16, with_last_pool=False),
                       dict(type='CAMHead', num_classes=num_classes))


def cicam(num_classes: int, **options) -> torch.nn.Module:
    """CI-CAM as in cicam_vgg16_cub.py, with active non-local blocks; takes backbone options."""
    model = _classifier(dict(type='NonLocalVGG', **options),
                        dict(type='DualCAMHead', num_classes=num_classes))
    model.head.pool.has_updater = True
    if hasattr(model.backbone, 'non_local'):
        activate_non_local(model)
    return model


def activate_non_local(model: torch.nn.Module) -> None:
    """Random norm weights in the non-local blocks, which with their initial 0 do nothing."""
    for block in model.backbone.non_local.values():
        torch.nn.init.normal_(block.norm.weight, std=0.1)


def cicam_inferencer() -> WSOLInferencer:
    """CI-CAM of that config with weights that have learned nothing, on the CPU."""
    cfg = Config.fromfile(CONFIGS / 'cicam_vgg16_cub.py')
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    return WSOLInferencer(cfg, False, 'cpu')


def _classifier(backbone, head):
    model = MODELS.build(dict(
        type='ImageClassifier', backbone=backbone, head=dict(head, in_channels=512)))
    MMLogger.get_instance('mmengine').setLevel('WARNING')  # in child processes, too
    model.init_weights()
    return model
