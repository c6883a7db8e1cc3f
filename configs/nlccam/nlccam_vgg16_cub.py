# NL-CCAM on CUB-200-2011 with the authors' recipe: batch 16, no halving of the learning rate,
# training views with a short side of 224, two views in testing. Resizing with Pillow is
# unverified.
_base_ = [
    '../_base_/models/nlccam_vgg16.py',
    '../_base_/datasets/cub_bs6.py',
    '../_base_/schedules/cub_adam_100e.py',
    '../_base_/default_runtime.py',
]

# classes ranked on a centre crop, the map from the whole image
model = dict(type='TwoViewClassifier', head=dict(num_classes=200))

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='ResizeEdge', scale=224, edge='short', backend='pillow'),
    *_base_.train_pipeline[3:],
]
test_pipeline = [
    dict(type='LoadWSOLImage'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
         dict(type='Resize', scale=(224, 224), backend='pillow')],
        [dict(type='CenterCrop', crop_size=224)],  # does not change the second view
        # after the resizing, so boxes stay in pixels of the original image
        [dict(type='LoadAnnotations', with_bbox=True, with_label=False)],
        [dict(type='PackInputs', algorithm_keys=('gt_bboxes', ))],
    ]),
]

train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=101, by_epoch=True)]
auto_scale_lr = dict(base_batch_size=16)
