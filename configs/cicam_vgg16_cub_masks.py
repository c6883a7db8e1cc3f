# CI-CAM on CUB-200-2011, tested by boxes and by the segmentation masks (an archive of their own,
# unpacked to data/CUB_200_2011/segmentations).
_base_ = 'cicam_vgg16_cub.py'

test_pipeline = [
    dict(type='LoadWSOLImage'),
    dict(type='Resize', scale=(224, 224)),
    dict(type='LoadAnnotations', with_bbox=True, with_label=False),
    # a grey value is the share of the five annotators who marked the pixel: most of them
    dict(type='LoadWSOLMask', threshold=127),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', 'gt_mask')),
]

val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_evaluator = [dict(type='WSOLMetric'), dict(type='PxAP'), dict(type='LocalizationErrors')]
test_evaluator = val_evaluator
