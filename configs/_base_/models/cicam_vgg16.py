# CI-CAM: non-local VGG16, two CAM branches, causal context pool.
_base_ = 'vgg16.py'

model = dict(
    head=dict(
        type='DualCAMHead',
        num_classes=1000,
        in_channels=512,
        pool=dict(size=(14, 14), update_rate=0.01),
        localizer=dict(map_rule='quadratic', box_rule='ci_cam', theta=0.)))

custom_hooks = [dict(type='ContextPoolHook')]
