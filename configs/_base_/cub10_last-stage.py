# Ten classes of CUB for the comparison of methods: the last stage of VGG16 and all that follows
# are trained, since methods that change features show nothing on a frozen backbone.
_base_ = [
    'models/vgg16-gap.py',
    'datasets/cub10.py',
    'schedules/cub10_adam_3e.py',
    'default_runtime.py',
]

model = dict(backbone=dict(frozen_stages=4), head=dict(num_classes=10))

default_hooks = dict(logger=dict(interval=10))
