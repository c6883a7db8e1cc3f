# ILSVRC CLS-LOC (ImageNet-1k) as Kaggle publishes it.
_base_ = 'cub_bs6.py'
dataset_type = 'ILSVRCLocalization'
data_root = 'data/imagenet'
data_preprocessor = dict(num_classes=1000)

train_dataloader = dict(
    batch_size=40,
    num_workers=8,
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        data_prefix='ILSVRC/Data/CLS-LOC/train',
        pipeline={{_base_.train_pipeline}}))
val_dataloader = dict(
    num_workers=8,
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        data_prefix='ILSVRC/Data/CLS-LOC/val',
        ann_file='LOC_val_solution.csv',  # or the XML files: 'ILSVRC/Annotations/CLS-LOC/val'
        pipeline={{_base_.test_pipeline}},
        test_mode=True))
test_dataloader = val_dataloader
