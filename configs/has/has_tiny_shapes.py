# HaS on the demo set.
_base_ = '../cam/cam_tiny_shapes.py'

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='HideAndSeek', sides=(16, ), prob=0.5),  # six cells per row in these images
    dict(type='PackInputs'),
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
