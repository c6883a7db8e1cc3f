# DDT on ILSVRC as PSOL uses it. The outer products of 1,000 classes take 2.1 GB.
_base_ = 'ddt_vgg16_cub.py'

model = dict(head=dict(num_classes=1000))

data_preprocessor = dict(num_classes=1000)
train_dataloader = dict(
    num_workers=8,
    dataset=dict(
        _delete_=True,
        type='ILSVRCLocalization',
        data_root='data/imagenet',
        data_prefix='ILSVRC/Data/CLS-LOC/train',
        pipeline={{_base_.train_pipeline}}))
val_dataloader = dict(
    num_workers=8,
    dataset=dict(
        _delete_=True,
        type='ILSVRCLocalization',
        data_root='data/imagenet',
        data_prefix='ILSVRC/Data/CLS-LOC/val',
        ann_file='LOC_val_solution.csv',
        pipeline={{_base_.test_pipeline}},
        test_mode=True))
test_dataloader = val_dataloader
