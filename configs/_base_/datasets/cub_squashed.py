# CUB-200-2011 with training views cropped from the image squashed to 256 x 256, as several methods
# were trained.
_base_ = 'cub_bs6.py'

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='Resize', scale=(256, 256)),
    *_base_.train_pipeline[3:],
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
