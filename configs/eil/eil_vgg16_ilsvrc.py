# EIL on ILSVRC: the rate is divided by 10 after epochs 4 and 7, as in the release; the total of 10
# epochs is unverified.
_base_ = [
    'eil_vgg16_cub.py',
]

model = dict(head=dict(num_classes=1000))
data_root = 'data/imagenet'
data_preprocessor = dict(num_classes=1000)

train_dataloader = dict(
    num_workers=8,
    dataset=dict(
        _delete_=True,
        type='ILSVRCLocalization',
        data_root=data_root,
        data_prefix='ILSVRC/Data/CLS-LOC/train',
        pipeline={{_base_.train_pipeline}}))
val_dataloader = dict(
    num_workers=8,
    dataset=dict(
        _delete_=True,
        type='ILSVRCLocalization',
        data_root=data_root,
        data_prefix='ILSVRC/Data/CLS-LOC/val',
        ann_file='LOC_val_solution.csv',  # or the XML files: 'ILSVRC/Annotations/CLS-LOC/val'
        pipeline={{_base_.test_pipeline}},
        test_mode=True))
test_dataloader = val_dataloader

param_scheduler = [dict(type='MultiStepLR', milestones=[4, 7], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=10, val_interval=1)
