# ILSVRC CLS-LOC (ImageNet-1k) as Kaggle publishes it.
_base_ = ['cub_bs6.py', '../ilsvrc_splits.py']
data_preprocessor = dict(num_classes=1000)

train_dataloader = dict(batch_size=40, num_workers=8, dataset=dict(
    _base_.ilsvrc_train, _delete_=True, pipeline=_base_.train_pipeline))
val_dataloader = dict(num_workers=8, dataset=dict(
    _base_.ilsvrc_val, _delete_=True, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
