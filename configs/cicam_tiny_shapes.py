# CI-CAM on the built-in demo set: no download, no GPU.
_base_ = [
    '_base_/datasets/confounded_shapes.py',
    '_base_/schedules/shapes_adam_5e.py',
    '_base_/default_runtime.py',
]

model = dict(
    type='ImageClassifier',
    # stride 4, receptive field 26 px: with one as large as the image no method can localize
    backbone=dict(
        type='NonLocalVGG',
        depth=11,
        strides=(2, 2, 1),
        base_channels=16,
        non_local_stages=(),
        act_cfg=dict(type='ReLU')),
    head=dict(
        type='DualCAMHead',
        num_classes=6,
        in_channels=64,
        pool=dict(size=(24, 24)),
        localizer=dict(map_rule='quadratic', box_rule='ci_cam', theta=0.)))

custom_hooks = [dict(type='ContextPoolHook')]
