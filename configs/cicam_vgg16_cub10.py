# CI-CAM on ten classes of CUB, for two cores: stages 1 to 4 keep their ImageNet weights.
_base_ = [
    '_base_/models/cicam_vgg16.py',
    '_base_/datasets/cub10.py',
    '_base_/schedules/cub10_adam.py',
    '_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        frozen_stages=4,
        non_local_stages=(5, ),
        # frozen weights need the activation they were trained with
        act_cfg=dict(type='ReLU')),
    head=dict(num_classes=10))

custom_hooks = [dict(type='ContextPoolHook', interval=10), dict(type='ChannelsLastHook')]
default_hooks = dict(logger=dict(interval=10))
