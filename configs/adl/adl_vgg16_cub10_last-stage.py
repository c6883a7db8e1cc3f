# ADL on ten classes, in comparison with the other methods.
_base_ = '../_base_/cub10_last-stage.py'

model = dict(
    backbone=dict(plugins=[dict(cfg=dict(type='ADL', gamma=0.8, p=0.75), stages=(3, 4, 5))]))
