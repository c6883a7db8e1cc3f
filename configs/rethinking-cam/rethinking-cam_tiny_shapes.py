# Rethinking-CAM on the demo set.
_base_ = '../cam/cam_tiny_shapes.py'

model = dict(head=dict(
    type='RethinkingCAMHead',
    tap_threshold=0.1,
    localizer=dict(box_rule='rethinking', theta=0.35)))
