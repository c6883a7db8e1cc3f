# ADL on the demo set.
_base_ = '../cam/cam_tiny_shapes.py'

model = dict(
    backbone=dict(plugins=[dict(cfg=dict(type='ADL', gamma=0.8, p=0.75), stages=(2, 3))]))
