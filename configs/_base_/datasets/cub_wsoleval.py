# CUB-200-2011 with the splits, views and metrics of "Evaluating WSOL Methods Right" (CVPR 2020):
# CUBV2 is the val split, for search_threshold.py; MaxBoxAcc reports its best threshold on the test
# images, as the reference does.
_base_ = 'cub_bs6.py'
data_root = 'data/wsol/dataset/CUB'  # images of CUB and CUBV2 together
list_root = 'data/wsol/metadata/CUB'

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='Resize', scale=(256, 256), backend='pillow'),
    *_base_.train_pipeline[3:],
]
test_pipeline = [
    dict(type='LoadWSOLImage'),
    dict(type='Resize', scale=(224, 224), backend='pillow'),
    # boxes that are loaded after the resizing stay in pixels of the original image
    dict(type='LoadAnnotations', with_bbox=True, with_label=False),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', )),
]

train_dataloader = dict(dataset=dict(
    _delete_=True, type='WSOLEvalLocalization', data_root=data_root,
    list_root=f'{list_root}/train', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(
    _delete_=True, type='WSOLEvalLocalization', data_root=data_root,
    list_root=f'{list_root}/val', pipeline=test_pipeline, test_mode=True))
test_dataloader = dict(dataset=dict(val_dataloader['dataset'], list_root=f'{list_root}/test'))

val_evaluator = [dict(type='MaxBoxAcc'), dict(type='WSOLMetric')]
test_evaluator = val_evaluator
