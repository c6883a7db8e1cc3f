# BAS on the demo set. The generator reads frozen features of a small receptive field, which is not
# what it is made for. Map rule and theta are the best on 200 validation images.
_base_ = '../cam/cam_tiny_shapes.py'

model = dict(
    backbone=dict(strides=(2, 1)),
    head=dict(
        type='BASHead',
        in_channels=16,
        stage_channels=32,
        hidden_channels=32,
        last_stage=dict(
            type='NonLocalVGG',
            depth=11,
            strides=(2, 2, 1),
            first_stage=3,
            base_channels=8,
            non_local_stages=(),
            act_cfg=dict(type='LeakyReLU', negative_slope=0.1),
            init_cfg={{_base_.model.backbone.init_cfg}}),
        init_cfg=dict(type='Kaiming', layer='Conv2d'),
        localizer=dict(box_rule='bas', theta=0.64)))
