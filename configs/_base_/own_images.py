# CI-CAM on ImageNet's EfficientNet-Lite0, for own images and two cores: only the last layer of the
# backbone and the head are trained. `cicam_mm new FOLDER` writes a config for a folder.
_base_ = 'default_runtime.py'

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='EfficientNetLite0',
        frozen_stages=6,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='package://efficientnet-lite0',
                      prefix='backbone.')),
    head=dict(
        type='DualCAMHead',
        in_channels=1280,
        pool=dict(size=(7, 7), update_rate=0.01),
        localizer=dict(
            map_rule='quadratic', box_rule='wsoleval_bicubic', floor='zero', theta=0.3)))
data_preprocessor = dict(mean=[127] * 3, std=[128] * 3, to_rgb=True)
custom_hooks = [dict(type='ContextPoolHook')]

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='RandomResizedCrop', scale=(224, 224), crop_ratio_range=(0.4, 1)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadWSOLImage'),
    dict(type='Resize', scale=(224, 224)),
    # boxes that are loaded after the resizing stay in pixels of the original image
    dict(type='LoadAnnotations', with_bbox=True, with_label=False),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', )),
]
train_dataloader = dict(num_workers=1, persistent_workers=True,
                        sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(batch_size=32, num_workers=1,
                      sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_evaluator = [dict(type='WSOLMetric'), dict(type='MaxBoxAcc')]
test_evaluator = val_evaluator
train_cfg = dict(by_epoch=True)
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True)]  # to 0 in the last epoch
val_cfg = test_cfg = dict()

optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=1e-3),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1),
                                    'head.pool': dict(lr_mult=0.1)}))
