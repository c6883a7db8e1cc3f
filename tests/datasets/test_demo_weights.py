from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import load_checkpoint
from mmpretrain.registry import DATASETS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
WEIGHTS = CONFIGS / '_base_' / 'models' / 'vgg_tiny_shapes.pth'


def test_the_demos_weights_know_its_patterns_and_contexts():
    """97.8 % of the 720 scenes of their config; a change of the pictures needs new weights."""
    cfg = Config.fromfile(CONFIGS / 'cam' / 'pretrain_tiny_shapes.py')
    cfg.model.data_preprocessor = cfg.data_preprocessor
    model = MODELS.build(cfg.model).eval()
    load_checkpoint(model, str(WEIGHTS), strict=True)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    batch = pseudo_collate([dataset[i] for i in range(0, 720, 18)])
    with torch.no_grad():
        samples = model.test_step(batch)
    right = [sample.pred_label.item() == sample.gt_label.item() for sample in samples]
    assert sum(right) / len(right) > 0.9


def test_every_demo_config_starts_from_them():
    names = [path for path in CONFIGS.rglob('*_tiny_shapes.py') if 'pretrain' not in path.stem
             and '_base_' not in path.parts]
    assert len(names) >= 3
    backbones = [Config.fromfile(path).model.backbone for path in names]
    expected = torch.load(WEIGHTS, weights_only=True)['state_dict']
    for cfg in {str(each): each for each in backbones}.values():
        backbone = MODELS.build(cfg)
        backbone.init_weights()
        state = backbone.state_dict()
        assert state and all(state[key].equal(expected[f'backbone.{key}']) for key in state), cfg
