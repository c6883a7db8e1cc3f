# CI-CAM on InceptionV3 and CUB-200-2011 as in the release: trained as in cicam_inceptionv3_cub.py,
# but with images resized by Pillow, and tested on two views as in cicam_vgg16_cub_release.py.
_base_ = 'cicam_inceptionv3_cub.py'

model = dict(type='TwoViewClassifier')

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='ResizeEdge', scale=450, edge='short', backend='pillow'),
    *_base_.train_pipeline[3:],
]
test_pipeline = [
    dict(type='LoadWSOLImage'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='ResizeEdge', scale=450, edge='short', backend='pillow'),
         dict(type='Resize', scale=(299, 299), backend='pillow')],
        [dict(type='CenterCrop', crop_size=299)],  # does not change the second view
        # after the resizing, so boxes stay in pixels of the original image
        [dict(type='LoadAnnotations', with_bbox=True, with_label=False)],
        [dict(type='PackInputs', algorithm_keys=('gt_bboxes', ))],
    ]),
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
