# Rethinking-CAM on ten classes, in comparison with the other methods.
_base_ = '../_base_/cub10_last-stage.py'

model = dict(head=dict(
    type='RethinkingCAMHead',
    tap_threshold=0.1,
    localizer=dict(box_rule='rethinking', theta=0.35)))
