# ACoL: 3x3 max pools, the last two with stride 1, so maps are 28 x 28; two heads.
_base_ = 'vgg16.py'

model = dict(
    backbone=dict(
        strides=(2, 2, 2, 1, 1),
        pool_sizes=(3, 3, 3, 3, 3),
        non_local_stages=(),
        act_cfg=dict(type='ReLU')),
    head=dict(
        type='ACoLHead',
        num_classes=1000,
        in_channels=512,
        threshold=0.6,
        localizer=dict(map_rule='top1', box_rule='wsoleval', theta=0.2)))
