# HaS on the demo set.
_base_ = '../cam/cam_tiny_shapes.py'

train_pipeline = [
    *_base_.train_pipeline[:-1],
    dict(type='HideAndSeek', sides=(16, ), prob=0.5),  # six cells per row in these images
    _base_.train_pipeline[-1],
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
