# KG-CI-CAM on CUB-200-2011, the localization teacher with the best Top-1 Loc.
_base_ = 'kgcicam_vgg16_cub_loc-teacher.py'

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='RandomResizedCrop', scale=224, crop_ratio_range=(0.1, 1.), backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# the schedule is that of 100 epochs; the authors chose epoch 85, on the test images
train_cfg = dict(max_epochs=85)
