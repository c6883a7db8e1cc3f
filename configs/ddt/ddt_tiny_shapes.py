# DDT on the demo set, from the features that know all patterns and contexts.
_base_ = [
    '../_base_/models/vgg_tiny_shapes.py',
    '../_base_/datasets/confounded_shapes.py',
    '../_base_/schedules/fit.py',
    '../_base_/default_runtime.py',
]

model = dict(
    head=dict(
        type='DDTHead',
        num_classes=6,
        in_channels=32,
        localizer=dict(map_rule='top1', box_rule='ddt', floor='zero', theta=0.)))

train_pipeline = [dict(type='SeedPerSample'), dict(type='PackInputs')]
train_dataloader = dict(
    dataset=dict(pipeline=train_pipeline),
    # each image once, on any number of processes
    sampler=dict(shuffle=False, round_up=False))
