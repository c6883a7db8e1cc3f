# EIL on ten classes, in comparison with the other methods.
_base_ = '../_base_/cub10_last-stage.py'

model = dict(
    backbone=dict(plugins=[dict(cfg=dict(type='ErasedCopy', gamma=0.7), stages=(4, ))]),
    head=dict(type='EILHead', localizer=dict(box_rule='eil', theta=0.15)))
