# CutMix on the demo set.
_base_ = '../cam/cam_tiny_shapes.py'

# alpha is beta of the paper
model = dict(train_cfg=dict(augments=dict(type='CutMix', alpha=1.), probs=1.))
