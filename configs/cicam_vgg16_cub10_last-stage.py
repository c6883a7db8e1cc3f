# CI-CAM beside the other methods on ten classes. No non-local blocks, which would start from
# nothing, and no 3x3 convolution, which it does not have.
_base_ = '_base_/cub10_last-stage.py'

model = dict(
    neck=None,
    head=dict(
        _delete_=True,
        type='DualCAMHead',
        num_classes=10,
        in_channels=512,
        pool=dict(size=(14, 14), update_rate=0.01),
        localizer=dict(map_rule='quadratic', box_rule='ci_cam', theta=0.)))

custom_hooks = [dict(type='ContextPoolHook', interval=10)]
