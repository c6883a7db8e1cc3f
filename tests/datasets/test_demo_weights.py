from pathlib import Path

import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
WEIGHTS = CONFIGS / '_base_' / 'models' / 'vgg_tiny_shapes.pth'


def test_every_demo_config_starts_from_them():
    names = [path for path in CONFIGS.rglob('*_tiny_shapes.py') if 'pretrain' not in path.stem
             and '_base_' not in path.parts]
    assert len(names) >= 3
    for path in names:
        cfg = Config.fromfile(path).model.backbone
        assert cfg.init_cfg == dict(type='Pretrained', checkpoint=str(WEIGHTS), prefix='backbone.')
    backbone = MODELS.build(cfg)
    backbone.init_weights()
    expected = torch.load(WEIGHTS, weights_only=True)['state_dict']
    state = backbone.state_dict()
    assert state and all(state[key].equal(expected[f'backbone.{key}']) for key in state)
