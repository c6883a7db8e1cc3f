"""Small classifiers of MMPretrain with random weights, of seven classes, for 64 x 64 pixels."""
import torch
from mmengine.config import Config
from mmpretrain.apis import get_model
from torch import nn

SIZE = (64, 64)
LINEAR, GAP = dict(type='LinearClsHead', num_classes=7), dict(type='GlobalAveragePooling')
VIT = dict(type='VisionTransformer', img_size=64, arch=dict(
    embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=16))
# Backbone, head, neck, and the layer with the last map.
CLASSIFIERS = {
    'ResNet': (dict(type='ResNet', depth=18, stem_channels=8, base_channels=4),
               dict(LINEAR, in_channels=32), GAP, 'backbone'),
    'ConvNeXt': (dict(type='ConvNeXt', arch=dict(depths=[1] * 4, channels=[8, 16, 24, 32])),
                 dict(LINEAR, in_channels=32), None, 'backbone.stages.3'),
    'EdgeNeXt': (dict(type='EdgeNeXt', arch=dict(
                     depths=[1] * 4, channels=[8, 16, 24, 32], num_heads=[1] * 4)),
                 dict(LINEAR, in_channels=32), None, 'backbone.stages.3'),
    'Swin': (dict(type='SwinTransformer', img_size=64, window_size=2, arch=dict(
                 embed_dims=8, depths=[1] * 4, num_heads=[1] * 4)),
             dict(LINEAR, in_channels=64), GAP, 'backbone'),
    'ViT': (VIT, dict(type='VisionTransformerClsHead', num_classes=7, in_channels=16), None,
            'backbone.layers.2.ln1'),
    'DeiT': (dict(VIT, type='DistilledVisionTransformer'),
             dict(type='DeiTClsHead', num_classes=7, in_channels=16), None,
             'backbone.layers.2.ln1'),
    'VGG': (dict(type='VGG', depth=11, num_classes=7), dict(type='ClsHead'), None,
            'backbone.features.11'),
}
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='ResizeEdge', scale=73, edge='short'),
            dict(type='CenterCrop', crop_size=64), dict(type='PackInputs')]


def config_of(name, **options):
    """The config of a classifier; options replace parts of its model."""
    backbone, head, neck, _ = CLASSIFIERS[name]
    return Config(dict(
        model=dict(type='ImageClassifier', backbone=dict(backbone), neck=neck, head=dict(head),
                   data_preprocessor=dict(num_classes=7)) | options,
        test_dataloader=dict(dataset=dict(type='CustomDataset', pipeline=PIPELINE))))


def build(name, **options):
    with torch.device('meta' if name == 'VGG' else 'cpu'):
        model = get_model(config_of(name, **options))
    if name == 'VGG':  # its layers for 224 px hold a hundred million weights
        model.backbone.classifier = nn.Linear(512 * 2 * 2, 7)
        model.to_empty(device='cpu')
    for key, parameter in model.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=1.5 * parameter[0].numel()**-.5)
        else:
            nn.init.normal_(parameter, mean=float('weight' in key), std=.2)
    return model.eval()
