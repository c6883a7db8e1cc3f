# BAS on ResNet50 and ILSVRC: batch 128, 9 epochs, the map of one class.
_base_ = ['bas_resnet50_cub.py', '../_base_/ilsvrc_splits.py']

model = dict(head=dict(
    num_classes=1000,
    guidance_weight=1.,
    area_weight=2.,
    count_ties=True,
    localizer=dict(_delete_=True, map_rule='top1', box_rule='bas', theta=0.45)))

data_preprocessor = dict(num_classes=1000)
train_dataloader = dict(batch_size=128, num_workers=8, dataset=dict(
    _base_.ilsvrc_train, _delete_=True, pipeline=_base_.train_pipeline))
val_dataloader = dict(num_workers=8, dataset=dict(
    _base_.ilsvrc_val, _delete_=True, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader

param_scheduler = [dict(type='MultiStepLR', milestones=[3, 6], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=9, val_interval=1)
auto_scale_lr = dict(base_batch_size=128)
