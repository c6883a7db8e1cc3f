# CI-CAM on frozen features of birds on backgrounds: branch 2 reads the context of the class.
_base_ = '../../../configs/cicam_vgg16_cub50_frozen.py'

data_root = '{{$CICAM_BIRDS:work_dirs/birds/draw_0/rho_0}}'
data_preprocessor = dict(num_classes=20)
model = dict(head=dict(num_classes=20, pool=dict(size=(10, 10))))

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadWSOLImage'),
    dict(type='Resize', scale=(160, 160)),
    dict(type='LoadAnnotations', with_bbox=True, with_label=False),
    dict(type='LoadWSOLMask'),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', 'gt_mask')),
]
# of a class the first 15 training images are confounded, the other six held out
train_dataloader = dict(num_workers=0, dataset=dict(
    data_root=data_root, pipeline=train_pipeline, indices=[i for i in range(420) if i % 21 < 15]))
val_dataloader = dict(num_workers=0, dataset=dict(
    data_root=data_root, pipeline=test_pipeline, indices=[i for i in range(420) if i % 21 >= 15]))
test_dataloader = dict(num_workers=0, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_evaluator = [
    dict(type='WSOLMetric'),
    dict(type='PxAP', interval=0.01),
    dict(type='LocalizationErrors'),
]
