# CI-CAM on ten classes, in comparison with the other methods. Without non-local blocks, which are
# not pretrained, and without the 3x3 convolution of other methods, which it does not have.
_base_ = '_base_/cub10_last-stage.py'

model = dict(
    neck=None,
    head=dict(
        type='DualCAMHead',
        in_channels=512,
        pool=dict(size=(14, 14), update_rate=0.01),
        localizer=dict(map_rule='quadratic', box_rule='ci_cam', theta=0.)))

custom_hooks = [dict(type='ContextPoolHook', interval=10)]
