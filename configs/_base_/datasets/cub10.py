# Ten classes of CUB, for two cores: lists of these classes in the official layout.
_base_ = 'cub_bs6.py'
data_root = '{{$CICAM_CUB10:data/cub10}}'
data_preprocessor = dict(num_classes=10)

# Squashed as in testing, because features do not adapt to other object sizes in a few epochs.
train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='Resize', scale=(256, 256)),
    dict(type='RandomCrop', crop_size=224),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    num_workers=1, pin_memory=False, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
