# PSOL on ten classes of CUB, for two cores: the last stage of VGG16 and the new layers.
_base_ = 'psol_vgg16_cub.py'
data_root = '{{$CICAM_CUB10:data/cub10}}'

model = dict(backbone=dict(frozen_stages=4), head=dict(num_classes=10))

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='LoadPseudoBoxes', ann_file='work_dirs/ddt_vgg16_cub10/boxes/annotations.json'),
    *_base_.train_pipeline[3:],
]

data_preprocessor = dict(num_classes=10)
train_dataloader = dict(
    batch_size=16, num_workers=1, pin_memory=False,
    dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader

optim_wrapper = dict(
    _delete_=True,
    optimizer=dict(type='Adam', lr=1e-3),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=7, by_epoch=True)]

auto_scale_lr = dict(base_batch_size=16)
