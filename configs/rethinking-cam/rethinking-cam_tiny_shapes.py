# Rethinking-CAM on the demo set.
_base_ = '../cicam_tiny_shapes.py'

model = dict(
    head=dict(
        _delete_=True,
        type='RethinkingCAMHead',
        num_classes=6,
        in_channels=32,
        tap_threshold=0.1,
        localizer=dict(map_rule='top1', box_rule='rethinking', theta=0.35)))

custom_hooks = []
