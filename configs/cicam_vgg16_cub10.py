# CI-CAM on ten classes of CUB, for two cores: the backbone keeps its ImageNet weights, so there
# are no non-local blocks, which are not pretrained.
_base_ = [
    '_base_/models/cicam_vgg16.py',
    '_base_/datasets/cub10.py',
    '_base_/schedules/cub10_adam.py',
    '_base_/default_runtime.py',
]

model = dict(
    # frozen weights require the activation they were trained with
    backbone=dict(frozen_stages=5, non_local_stages=(), act_cfg=dict(type='ReLU')),
    head=dict(num_classes=10))

custom_hooks = [dict(type='ContextPoolHook', interval=10)]
default_hooks = dict(logger=dict(interval=10))
