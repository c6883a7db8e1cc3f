# BAS: the generator reads conv4_3, the head has the fifth stage.
_base_ = 'vgg16.py'

model = dict(
    backbone=dict(strides=(2, 2, 2, 1), non_local_stages=(), act_cfg=dict(type='ReLU')),
    head=dict(
        type='BASHead',
        num_classes=1000,
        in_channels=512,
        stage_channels=512,
        last_stage=dict(
            type='NonLocalVGG',
            depth=16,
            strides=(2, 2, 2, 2, 1),
            first_stage=5,
            non_local_stages=(),
            act_cfg=dict(type='ReLU'),
            init_cfg={{_base_.model.backbone.init_cfg}}),
        guidance_weight=0.,
        area_weight=0.7,
        localizer=dict(map_rule=dict(type='topk_mean', k=80), box_rule='bas', theta=0.15)))
