# CI-CAM on frozen features of fifty classes of CUB, for one core.
_base_ = '_base_/cub50_frozen.py'

model = dict(head=dict(
    type='DualCAMHead',
    pool=dict(size=(14, 14), update_rate=0.01),
    localizer=dict(map_rule='quadratic', box_rule='ci_cam', theta=0.)))

custom_hooks = [*_base_.custom_hooks, dict(type='ContextPoolHook')]
