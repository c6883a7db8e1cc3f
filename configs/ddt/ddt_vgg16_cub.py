# DDT on CUB-200-2011 as PSOL uses it: images squashed to 448 x 448, one component for each class.
_base_ = [
    '../_base_/models/ddt_vgg16.py',
    '../_base_/datasets/cub_bs6.py',
    '../_base_/default_runtime.py',
    '../_base_/schedules/fit.py',
]

model = dict(head=dict(num_classes=200))

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='Resize', scale=(448, 448)),
    dict(type='PackInputs'),
]
test_pipeline = [
    _base_.test_pipeline[0],
    dict(type='Resize', scale=(448, 448)),
    *_base_.test_pipeline[2:],
]

train_dataloader = dict(
    batch_size=16,
    dataset=dict(pipeline=train_pipeline),
    # each image once, on any number of processes
    sampler=dict(shuffle=False, round_up=False))
val_dataloader = dict(batch_size=16, dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(batch_size=16, dataset=dict(pipeline=test_pipeline))
