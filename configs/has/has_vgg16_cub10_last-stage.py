# HaS on ten classes, in comparison with the other methods.
_base_ = '../_base_/cub10_last-stage.py'

train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='HideAndSeek', sides=(32, ), prob=0.5),
    _base_.train_pipeline[-1],
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
