# The built-in demo data: drawn on the fly, no download.
data_preprocessor = dict(
    num_classes=6, to_rgb=True, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='Resize', scale=(96, 96)),  # for other images; these already have this size
    dict(type='LoadAnnotations', with_bbox=True, with_label=False),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', 'gt_mask')),
]

train_dataloader = dict(
    batch_size=24,
    num_workers=1,  # a picture takes 2 ms
    persistent_workers=True,
    dataset=dict(
        type='ConfoundedShapes', split='train',
        rho=0.8,  # probability of a class's own context
        num_images=1920,
        keep_drawn=True,
        pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        type='ConfoundedShapes', split='test', num_images=600,
        seed=1,  # other images than the test images, to choose theta on
        pipeline=test_pipeline,
        test_mode=True),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = dict(type='WSOLMetric')

test_dataloader = dict(val_dataloader, dataset=dict(val_dataloader['dataset'], seed=0))
test_evaluator = val_evaluator
