# CI-CAM on ResNet-50; the last stage has stride 1, so 224 px give 14 x 14.
_base_ = 'cicam_vgg16_cub.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    head=dict(in_channels=2048))
