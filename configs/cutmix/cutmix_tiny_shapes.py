# CutMix on the demo set.
_base_ = '../cam/cam_tiny_shapes.py'

model = dict(
    train_cfg=dict(
        augments=dict(type='CutMix', alpha=1.),  # beta of the paper
        probs=1.))
