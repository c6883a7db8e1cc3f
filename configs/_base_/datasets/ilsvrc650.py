# 650 validation images of ILSVRC in lists as those of "Evaluating WSOL Methods Right" (CVPR 2020).
# Every third of the first 600 is held out to choose settings on; the other 450 are the test set.
data_root = '{{$CICAM_ILSVRC650:data/ilsvrc650}}'
data_preprocessor = dict(num_classes=1000, mean=[127] * 3, std=[128] * 3, to_rgb=True)

test_pipeline = [
    dict(type='LoadWSOLImage'),
    dict(type='Resize', scale=(224, 224)),
    # boxes that are loaded after the resizing stay in pixels of the original image
    dict(type='LoadAnnotations', with_bbox=True, with_label=False),
    dict(type='PackInputs', algorithm_keys=('gt_bboxes', )),
]
held_out = [*range(0, 600, 3)]

data = dict(type='WSOLEvalLocalization', data_root=f'{data_root}/images', list_root=data_root,
            classes='imagenet', pipeline=test_pipeline, test_mode=True)
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    dataset=dict(indices=held_out, **data),
    sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = dict(
    val_dataloader, dataset=dict(indices=[i for i in range(650) if i not in held_out], **data))

val_evaluator = [dict(type='MaxBoxAcc'), dict(type='WSOLMetric')]
test_evaluator = val_evaluator
