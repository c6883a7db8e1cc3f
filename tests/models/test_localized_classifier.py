"""Classifiers of MMPretrain, with random weights, as localizers."""
import json

import cv2
import numpy as np
import pytest
import torch
from classifiers import PIPELINE, SIZE, build, config_of

from cicam_mm.apis import WSOLInferencer
from cicam_mm.apis.configs import whole_image_pipeline
from cicam_mm.models.localized_classifier import localize_by
from cicam_mm.utils.errors import UserError


@pytest.mark.parametrize('name', ['ResNet', 'Swin', 'ConvNeXt', 'EdgeNeXt'])
def test_scores_stay_and_maps_average_to_them(name):
    model, images = build(name), torch.randn(3, 3, *SIZE)
    with torch.no_grad():
        expected = model(images)
        localize_by(model)
        features = model.extract_feat(images)
        scores, maps = model.head.localize(features)
        maps = maps.of_classes(torch.arange(7).expand(3, -1))
    torch.testing.assert_close(scores, expected)
    # the mean of a map is its score up to a factor of the image and a constant of the class
    factor = 1.
    if name.endswith('NeXt'):
        pooled = features[0].mean(dim=(2, 3))
        factor = (pooled.var(dim=1, unbiased=False, keepdim=True) + model.head.norm.eps).sqrt()
    else:
        plain = torch.einsum('nc,bchw->bnhw', model.head.fc.weight, features[-1])
        torch.testing.assert_close(maps, plain)
    constant = scores - maps.mean(dim=(2, 3)) / factor
    torch.testing.assert_close(constant, constant[:1].expand(3, -1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('name, neck, method, layers, sentence', [
    ('ViT', None, 'cam', [], 'VisionTransformer ends in VisionTransformerClsHead; heads with'),
    ('ResNet', dict(type='GeneralizedMeanPooling'), 'cam', [],
     'but this model has GeneralizedMeanPooling'),
    ('ResNet', None, 'gradcam2', [], "unknown method 'gradcam2'; known are cam, gradcam, "),
    ('ResNet', None, 'cam', ['backbone.layer4'], 'CAM takes the last feature map'),
])
def test_methods_that_do_not_fit(name, neck, method, layers, sentence):
    with pytest.raises(UserError, match=sentence):
        localize_by(build(name, neck=neck), method, layers)


def test_pipeline_takes_the_whole_image():
    assert whole_image_pipeline(PIPELINE)[1] == dict(type='Resize', scale=SIZE)
    squashed = [dict(type='Resize', scale=(80, 60)), dict(type='PackInputs')]
    assert whole_image_pipeline(squashed) == squashed
    with pytest.raises(UserError, match='does not define the size'):
        whole_image_pipeline([dict(type='PackInputs')])


def test_command_line_of_other_methods(run_tool, tmp_path):
    config_of('ViT').dump(tmp_path / 'vit.py')
    torch.save(dict(state_dict=build('ViT').state_dict(), meta=dict(dataset_meta=dict(
        classes=list('abcdefg')))), tmp_path / 'vit.pth')
    picture = np.random.default_rng(0).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), picture)
    files = tmp_path / 'vit.py', tmp_path / 'vit.pth'
    run_tool('infer.py', tmp_path / 'a.png', '--config', files[0], '--checkpoint', files[1],
             '--out', tmp_path / 'out', '--workers', '0', '--cam', 'layercam',
             '--target-layers', 'backbone.layers.2.ln1')
    result, = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    inferencer = WSOLInferencer(*map(str, files), cam='layercam')
    expected, = inferencer(str(tmp_path / 'a.png'))
    x0, y0, x1, y1 = expected['pred_box']
    assert result['bbox'] == [x0, y0, x1 - x0, y1 - y0]
    assert expected['pred_class'] in 'abcdefg'
    error = run_tool.error('export_onnx.py', *files, tmp_path / 'vit.onnx', '--cam', 'gradcam',
                           '--images', tmp_path / 'a.png')
    assert error.startswith('the maps of gradcam take another pass through the network')


def test_a_config_alone_is_squashed_too():
    picture = np.random.default_rng(0).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    result, = WSOLInferencer(config_of('ViT'), cam='layercam')(picture)
    assert result['ori_shape'] == (100, 150)
