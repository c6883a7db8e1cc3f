# GlaS: glands in tissue, benign or malignant, with masks. Lists by docs/study/glas_lists.py.
_base_ = 'cub_squashed.py'
data_root = '{{$CICAM_GLAS:data/glas}}'
list_root = '{{$CICAM_GLAS_LISTS:data/glas/lists}}'
data_preprocessor = dict(num_classes=2)

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='Resize', scale=(256, 256)),
    dict(type='RandomCrop', crop_size=224),
    dict(type='RandomFlip', prob=[0.25, 0.25], direction=['horizontal', 'vertical']),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadWSOLImage'),
    dict(type='Resize', scale=(224, 224)),
    dict(type='LoadWSOLMask', with_bbox=True),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', 'gt_mask')),
]
train_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(
    _delete_=True, type='WSOLEvalLocalization', data_root=data_root,
    list_root=f'{list_root}/train', pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, pin_memory=False, dataset=dict(
    _delete_=True, type='WSOLEvalLocalization', data_root=data_root,
    list_root=f'{list_root}/val', mask_root=data_root, pipeline=test_pipeline, test_mode=True))
test_dataloader = dict(
    val_dataloader, dataset=dict(val_dataloader['dataset'], list_root=f'{list_root}/test'))
val_evaluator = [dict(type='PxAP'), dict(type='LocalizationErrors')]
test_evaluator = val_evaluator
