# PSOL on ResNet50 and CUB-200-2011, with the recipe released for ILSVRC; that for CUB is not
# released. The boxes it learns are those of DDT, see README.md.
_base_ = [
    '../_base_/datasets/cub_bs6.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResNet',
        depth=50,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    head=dict(type='PSOLHead', num_classes=200, in_channels=2048))

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='LoadPseudoBoxes', ann_file='work_dirs/ddt_vgg16_cub/boxes/annotations.json'),
    dict(type='RandomResizedCropWithBoxes', scale=224, crop_ratio_range=(0.2, 1.)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', )),
]
train_dataloader = dict(batch_size=256, num_workers=8, dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'head': dict(lr_mult=2.)}))
param_scheduler = []

train_cfg = dict(by_epoch=True, max_epochs=6, val_interval=1)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=256)
