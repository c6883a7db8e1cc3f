"""Classifiers of MMPretrain, with random weights, as localizers."""
import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.apis import get_model

from cicam_mm.apis import WSOLInferencer
from cicam_mm.apis.configs import whole_image_pipeline
from cicam_mm.models.localized_classifier import localize_by
from cicam_mm.utils.errors import UserError

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='ResizeEdge', scale=73, edge='short'),
            dict(type='CenterCrop', crop_size=64), dict(type='PackInputs')]


def config(backbone, head, neck=None):
    return Config(dict(
        model=dict(type='ImageClassifier', backbone=backbone, neck=neck, head=head,
                   data_preprocessor=dict(num_classes=7)),
        test_dataloader=dict(dataset=dict(type='CustomDataset', pipeline=PIPELINE))))


RESNET = config(dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
                dict(type='LinearClsHead', num_classes=7, in_channels=64),
                dict(type='GlobalAveragePooling'))
CONVNEXT = config(dict(type='ConvNeXt', arch=dict(depths=[1, 1, 1, 1], channels=[8, 16, 24, 32])),
                  dict(type='LinearClsHead', num_classes=7, in_channels=32))
SWIN = config(dict(type='SwinTransformer', img_size=64, window_size=2, arch=dict(
                  embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1])),
              dict(type='LinearClsHead', num_classes=7, in_channels=64),
              dict(type='GlobalAveragePooling'))
VIT = config(dict(type='VisionTransformer', img_size=64, arch=dict(
                 embed_dims=8, num_layers=1, num_heads=1, feedforward_channels=8)),
             dict(type='VisionTransformerClsHead', num_classes=7, in_channels=8))


def load(cfg):
    model = get_model(cfg, device='cpu').eval()
    for name, parameter in model.named_parameters():
        if 'fc.weight' in name or 'norm' in name:
            torch.nn.init.normal_(parameter)
    return model


@pytest.mark.parametrize('cfg', [RESNET, SWIN, CONVNEXT], ids=['ResNet', 'Swin', 'ConvNeXt'])
def test_scores_stay_and_maps_average_to_them(cfg):
    model, images = load(cfg), torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        expected = model(images)
        localize_by(model)
        scores, maps = model.head.localize(model.extract_feat(images))
        maps = maps.of_classes(torch.arange(7).expand(3, -1))
    torch.testing.assert_close(scores, expected)
    # the mean of a map is its score up to a factor of the image and a constant of the class
    factor = 1.
    if cfg is CONVNEXT:
        pooled = model.extract_feat(images)[0].mean(dim=(2, 3))
        factor = (pooled.var(dim=1, unbiased=False, keepdim=True) + model.head.norm.eps).sqrt()
    constant = scores - maps.mean(dim=(2, 3)) / factor
    torch.testing.assert_close(constant, constant[:1].expand(3, -1), rtol=1e-3, atol=1e-4)


def test_maps_of_a_resnet_are_the_formula():
    model, images = load(RESNET), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = model.extract_feat(images, stage='backbone')[-1]
        weight = model.head.fc.weight.clone()
        localize_by(model)
        maps = model.head.localize(model.extract_feat(images))[1]
        found = maps.of_classes(torch.tensor([[3], [5]]))[:, 0]
    for i, label in enumerate([3, 5]):
        expected = sum(weight[label, c] * features[i, c] for c in range(64))
        torch.testing.assert_close(found[i], expected)


@pytest.mark.parametrize('cfg, sentence', [
    (VIT, 'VisionTransformer ends in VisionTransformerClsHead; heads with'),
    (config(RESNET.model.backbone, RESNET.model.head, dict(type='GeneralizedMeanPooling')),
     'but this model has GeneralizedMeanPooling'),
])
def test_what_has_no_cam_is_told(cfg, sentence):
    with pytest.raises(UserError, match=sentence):
        localize_by(load(cfg))


def test_pipeline_takes_the_whole_image():
    assert whole_image_pipeline(PIPELINE)[1] == dict(type='Resize', scale=(64, 64))
    squashed = [dict(type='Resize', scale=(80, 60)), dict(type='PackInputs')]
    assert whole_image_pipeline(squashed) == squashed
    with pytest.raises(UserError, match='does not define the size'):
        whole_image_pipeline([dict(type='PackInputs')])


def test_command_line_of_other_methods(run_tool, tmp_path):
    model = load(VIT)
    VIT.dump(tmp_path / 'vit.py')
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(
        classes=list('abcdefg')))), tmp_path / 'vit.pth')
    picture = np.random.default_rng(0).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), picture)
    files = tmp_path / 'vit.py', tmp_path / 'vit.pth'
    run_tool('infer.py', tmp_path / 'a.png', '--config', files[0], '--checkpoint', files[1],
             '--out', tmp_path / 'out', '--workers', '0', '--cam', 'layercam',
             '--target-layers', 'backbone.layers.0.ln1')
    result, = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    inferencer = WSOLInferencer(*map(str, files), cam='layercam')
    expected, = inferencer(str(tmp_path / 'a.png'))
    x0, y0, x1, y1 = expected['pred_box']
    assert result['bbox'] == [x0, y0, x1 - x0, y1 - y0]
    assert expected['pred_class'] in 'abcdefg'
    error = run_tool.error('export_onnx.py', *files, tmp_path / 'vit.onnx', '--cam', 'gradcam',
                           '--images', tmp_path / 'a.png')
    assert error.startswith('the maps of gradcam take another pass through the network')


@pytest.mark.parametrize('method, layers, sentence', [
    ('gradcam2', [], "unknown method 'gradcam2'; known are cam, gradcam, "),
    ('cam', ['backbone.layer4'], 'CAM takes the last feature map'),
])
def test_methods_that_do_not_fit(method, layers, sentence):
    with pytest.raises(UserError, match=sentence):
        localize_by(load(RESNET), method, layers)


def test_a_config_alone_is_squashed_too(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    cfg = VIT.copy()
    cfg.test_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile'), dict(type='ResizeEdge', scale=80),
        dict(type='CenterCrop', crop_size=64), dict(type='PackInputs')]
    result, = WSOLInferencer(cfg, cam='layercam')(picture)
    assert result['ori_shape'] == (100, 150)
