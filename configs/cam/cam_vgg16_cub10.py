# Plain CAM, to be compared with ../cicam_vgg16_cub10.py.
_base_ = [
    '../_base_/models/cam_vgg16.py',
    '../_base_/datasets/cub10.py',
    '../_base_/schedules/cub10_adam.py',
    '../_base_/default_runtime.py',
]

model = dict(
    # frozen weights require the activation they were trained with
    backbone=dict(frozen_stages=5, act_cfg=dict(type='ReLU')),
    head=dict(num_classes=10))

default_hooks = dict(logger=dict(interval=10))
