# CI-CAM on CUB-200-2011, tested with the protocol of its follow-up: scores, maps and boxes all on
# one centre crop, to which the ground truth is clipped. Not comparable with results on whole
# images.
_base_ = 'cicam_vgg16_cub.py'

# the follow-up's theta, chosen on the test images
model = dict(head=dict(localizer=dict(frame='input', theta=0.14)))

test_pipeline = [
    dict(type='LoadWSOLImage'),
    # before the resizing, so boxes move with the image and are clipped to the crop
    dict(type='LoadAnnotations', with_bbox=True, with_label=False),
    dict(type='Resize', scale=(344, 344), backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', )),
]

val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
