# PSOL on ILSVRC, the authors' recipe.
_base_ = ['psol_resnet50_cub.py', '../_base_/ilsvrc_splits.py']

model = dict(head=dict(num_classes=1000))

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='LoadPseudoBoxes', ann_file='work_dirs/ddt_vgg16_ilsvrc/boxes/annotations.json'),
    *_base_.train_pipeline[3:],
]

data_preprocessor = dict(num_classes=1000)
train_dataloader = dict(dataset=dict(_base_.ilsvrc_train, _delete_=True, pipeline=train_pipeline))
val_dataloader = dict(num_workers=8, dataset=dict(
    _base_.ilsvrc_val, _delete_=True, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
