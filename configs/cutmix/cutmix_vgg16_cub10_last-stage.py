# CutMix on ten classes, in comparison with the other methods.
_base_ = '../_base_/cub10_last-stage.py'

# alpha is beta of the paper
model = dict(train_cfg=dict(augments=dict(type='CutMix', alpha=1.), probs=1.))
