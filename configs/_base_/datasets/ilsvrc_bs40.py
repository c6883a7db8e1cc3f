# ILSVRC (ImageNet-1k): one folder per class, and the boxes of the validation images as CSV.
_base_ = 'cub_bs6.py'
dataset_type = 'FolderLocalization'
data_root = 'data/imagenet'
data_preprocessor = dict(num_classes=1000)

train_dataloader = dict(
    batch_size=40,
    num_workers=8,
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        data_prefix='train',
        pipeline={{_base_.train_pipeline}}))
val_dataloader = dict(
    num_workers=8,
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        data_prefix='val',
        box_file='boxes.csv',  # path,x0,y0,x1,y1 with paths such as val/n01440764/x.JPEG
        pipeline={{_base_.test_pipeline}},
        test_mode=True))
test_dataloader = val_dataloader
