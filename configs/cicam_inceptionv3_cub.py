# CI-CAM on InceptionV3 and CUB-200-2011, the release's recipe (6 images of 299 px a step), but
# with images resized by OpenCV. It is unknown how the published weights were trained: their log
# has a lower learning rate.
_base_ = [
    '_base_/models/cicam_inceptionv3.py',
    '_base_/datasets/cub_bs6.py',
    '_base_/default_runtime.py',
]

# without init_cfg, new layers start as PyTorch has it, as in the release
model = dict(head=dict(num_classes=200, init_cfg=None))

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='ResizeEdge', scale=450, edge='short'),
    dict(type='RandomCrop', crop_size=299),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    _base_.test_pipeline[0],
    dict(type='Resize', scale=(299, 299)),
    *_base_.test_pipeline[2:],
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# one rate for all layers: lr (1 - epoch / 100)^0.9, halved at epoch 50, a tenth from epoch 85
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999)))
param_scheduler = [
    # PolyLR reaches 0 one epoch before its end
    dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=101, by_epoch=True),
    dict(type='StepLR', step_size=50, gamma=0.5, by_epoch=True),
    dict(type='MultiStepLR', milestones=[85], gamma=0.1, by_epoch=True),
]

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=5)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=6)
