# DDT on ILSVRC as PSOL uses it. The outer products of 1,000 classes take 2.1 GB.
_base_ = ['ddt_vgg16_cub.py', '../_base_/ilsvrc_splits.py']

model = dict(head=dict(num_classes=1000))

data_preprocessor = dict(num_classes=1000)
train_dataloader = dict(num_workers=8, dataset=dict(
    _base_.ilsvrc_train, _delete_=True, pipeline=_base_.train_pipeline))
val_dataloader = dict(num_workers=8, dataset=dict(
    _base_.ilsvrc_val, _delete_=True, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
