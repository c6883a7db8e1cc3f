# CI-CAM on frozen features of birds on backgrounds: branch 2 reads the context of the class.
_base_ = '../../../configs/cicam_vgg16_cub50_frozen.py'

data_root = '{{$CICAM_BIRDS:work_dirs/birds}}/draw_0/rho_0'
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
# 15 epochs of ten steps, one view of each image
train_cfg = dict(max_epochs=15, val_interval=15)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=16, by_epoch=True)]
default_hooks = dict(checkpoint=dict(interval=15))
custom_hooks = [dict(_base_.custom_hooks[0], views=1), _base_.custom_hooks[1]]

test_evaluator = [
    dict(type='WSOLMetric'),
    dict(type='PxAP', interval=0.01),
    dict(type='LocalizationErrors'),
]
