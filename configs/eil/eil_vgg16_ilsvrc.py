# EIL on ILSVRC: the rate is divided by 10 after epochs 4 and 7, as in the release; the total of 10
# epochs is unverified.
_base_ = ['eil_vgg16_cub.py', '../_base_/ilsvrc_splits.py']

model = dict(head=dict(num_classes=1000))

data_preprocessor = dict(num_classes=1000)
train_dataloader = dict(num_workers=8, dataset=dict(
    _base_.ilsvrc_train, _delete_=True, pipeline=_base_.train_pipeline))
val_dataloader = dict(num_workers=8, dataset=dict(
    _base_.ilsvrc_val, _delete_=True, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader

param_scheduler = [dict(type='MultiStepLR', milestones=[4, 7], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=10, val_interval=1)
