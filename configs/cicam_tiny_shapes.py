# CI-CAM on the built-in demo set: no download, no GPU.
_base_ = [
    '_base_/models/vgg_tiny_shapes.py',
    '_base_/datasets/confounded_shapes.py',
    '_base_/schedules/shapes_adam_5e.py',
    '_base_/default_runtime.py',
]

model = dict(
    head=dict(
        type='DualCAMHead',
        num_classes=6,
        in_channels=32,
        pool=dict(size=(24, 24)),
        localizer=dict(map_rule='quadratic', box_rule='ci_cam', theta=0.)))

default_hooks = dict(ema=dict(type='EMAHook', momentum=0.03))
custom_hooks = [dict(type='ContextPoolHook')]
