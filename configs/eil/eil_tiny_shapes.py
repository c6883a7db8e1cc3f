# EIL on the demo set.
_base_ = '../cicam_tiny_shapes.py'

model = dict(
    backbone=dict(plugins=[dict(cfg=dict(type='ErasedCopy', gamma=0.7), stages=(2, ))]),
    head=dict(
        _delete_=True,
        type='EILHead',
        num_classes=6,
        in_channels=32,
        localizer=dict(map_rule='top1', box_rule='eil', theta=0.15)))

custom_hooks = []
