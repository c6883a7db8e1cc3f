# CI-CAM on frozen features of fifty classes of CUB, for one core.
_base_ = ['_base_/vgg16_frozen.py', '_base_/datasets/cub50.py']

model = dict(head=dict(
    type='DualCAMHead',
    num_classes=50,
    pool=dict(size=(14, 14), update_rate=0.01),
    localizer=dict(map_rule='quadratic', box_rule='ci_cam', theta=0.)))

train_dataloader = dict(batch_size=32, num_workers=0)  # nothing is decoded
test_evaluator = [dict(type='WSOLMetric')]
custom_hooks = [*_base_.custom_hooks, dict(type='ContextPoolHook')]
