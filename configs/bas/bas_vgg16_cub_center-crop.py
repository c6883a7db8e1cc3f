# BAS on CUB-200-2011, tested as published: map and box on the central 224 of 256 x 256, to which
# the ground truth is cut. The authors take scores from ten crops and average over classes.
_base_ = 'bas_vgg16_cub.py'

model = dict(head=dict(localizer=dict(frame='input')))

test_pipeline = [
    dict(type='LoadWSOLImage'),
    # before the resizing, so boxes move with the image and are clipped to the crop
    dict(type='LoadAnnotations', with_bbox=True, with_label=False),
    dict(type='Resize', scale=(256, 256)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', )),
]

val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_evaluator = dict(strict=True)
test_evaluator = dict(strict=True)
