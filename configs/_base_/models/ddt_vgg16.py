# DDT: VGG16 as it is on ImageNet, up to and with its last pool.
_base_ = 'vgg16.py'

model = dict(
    backbone=dict(strides=(2, 2, 2, 2, 2), non_local_stages=(), act_cfg=dict(type='ReLU')),
    head=dict(
        type='DDTHead',
        num_classes=1000,
        in_channels=512,
        localizer=dict(map_rule='top1', box_rule='ddt', floor='zero', theta=0.)))
