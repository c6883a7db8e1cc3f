# BAS on ten classes, in comparison with the other methods. The generator reads frozen features.
_base_ = '../_base_/cub10_last-stage.py'

model = dict(
    backbone=dict(strides=(2, 2, 2, 1)),
    neck=None,
    head=dict(
        _delete_=True,
        type='BASHead',
        num_classes=10,
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
        localizer=dict(map_rule=dict(type='topk_mean', k=4), box_rule='bas', theta=0.15)))

# the rate of the other methods' last stage
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'head.classifier.last_stage': dict(lr_mult=0.1)}))
