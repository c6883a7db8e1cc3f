# OpenImages30k of "Evaluating WSOL Methods Right" (CVPR 2020), evaluated with masks.
_base_ = 'cub_wsoleval.py'
data_root = 'data/wsol/dataset/OpenImages'  # images and masks together
list_root = 'data/wsol/metadata/OpenImages'
data_preprocessor = dict(num_classes=100)

test_pipeline = [
    dict(type='LoadWSOLImage'),
    dict(type='Resize', scale=(224, 224), backend='pillow'),
    # after the resizing, because the reference merges the masks at the size of the input
    dict(type='LoadWSOLMask', with_bbox=True),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', 'gt_mask')),
]

train_dataloader = dict(
    batch_size=40,
    num_workers=8,
    dataset=dict(data_root=data_root, list_root=f'{list_root}/train'))
val_dataloader = dict(
    num_workers=8,
    dataset=dict(
        data_root=data_root, list_root=f'{list_root}/val', mask_root=data_root,
        pipeline=test_pipeline))
test_dataloader = dict(
    val_dataloader, dataset=dict(val_dataloader['dataset'], list_root=f'{list_root}/test'))

val_evaluator = [dict(type='PxAP'), dict(type='LocalizationErrors')]
test_evaluator = val_evaluator
