# HaS on CUB-200-2011 as trained and tested in "Evaluating WSOL Methods Right" (CVPR 2020), where
# cell sides and probability were tuned but are not published: these are the authors'.
_base_ = '../cam/cam_vgg16_cub_wsoleval.py'

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='Resize', scale=(256, 256), backend='pillow'),
    dict(type='RandomCrop', crop_size=224),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='HideAndSeek', sides=(32, ), prob=0.5),
    dict(type='PackInputs'),
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
