# BAS on ResNet50 and ILSVRC.
_base_ = 'bas_vgg16_ilsvrc.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        num_stages=3,
        strides=(1, 2, 1),
        dilations=(1, 1, 1),
        out_indices=(2, ),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    head=dict(
        in_channels=1024,
        stage_channels=2048,
        last_stage=dict(
            _delete_=True,
            type='ResNetLastStage',
            depth=50,
            init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
        guidance_weight=1.,
        area_weight=2.,
        init_cfg=dict(type='Xavier', layer='Conv2d', distribution='uniform'),
        localizer=dict(theta=0.45)))
