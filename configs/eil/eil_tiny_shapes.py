# EIL on the demo set.
_base_ = '../cam/cam_tiny_shapes.py'

model = dict(
    backbone=dict(plugins=[dict(cfg=dict(type='ErasedCopy', gamma=0.7), stages=(2, ))]),
    head=dict(type='EILHead', localizer=dict(box_rule='eil', theta=0.15)))
