# PSOL on ILSVRC, the authors' recipe.
_base_ = 'psol_vgg16_cub.py'
pseudo_boxes = 'work_dirs/ddt_vgg16_ilsvrc/boxes/annotations.json'

model = dict(head=dict(num_classes=1000))

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='LoadPseudoBoxes', ann_file=pseudo_boxes),
    dict(type='RandomResizedCropWithBoxes', scale=224, crop_ratio_range=(0.2, 1.)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', )),
]

data_preprocessor = dict(num_classes=1000)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ILSVRCLocalization',
        data_root='data/imagenet',
        data_prefix='ILSVRC/Data/CLS-LOC/train',
        pipeline=train_pipeline))
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
