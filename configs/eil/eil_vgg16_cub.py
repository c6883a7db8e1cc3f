# EIL on CUB-200-2011, the release's recipe (total batch 64).
_base_ = [
    '../_base_/models/vgg16-gap.py',
    '../_base_/datasets/cub_squashed.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(plugins=[dict(cfg=dict(type='ErasedCopy', gamma=0.7), stages=(4, ))]),
    head=dict(
        type='EILHead',
        num_classes=200,
        localizer=dict(box_rule='eil', theta=0.15)))

train_dataloader = dict(batch_size=64)

# ten times the rate for the linear layer, but not for the new convolution
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'head.fc': dict(lr_mult=10)}))
param_scheduler = [dict(type='MultiStepLR', milestones=[60], gamma=0.1, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=80, val_interval=5)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=64)
