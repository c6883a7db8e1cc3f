# Rethinking-CAM on CUB-200-2011, the release's recipe (total batch 40).
_base_ = [
    '../_base_/models/vgg16-gap.py',
    '../_base_/datasets/cub_squashed.py',
    '../_base_/default_runtime.py',
]

model = dict(
    head=dict(
        type='RethinkingCAMHead',
        num_classes=200,
        tap_threshold=0.1,
        localizer=dict(box_rule='rethinking', theta=0.35)))

train_dataloader = dict(batch_size=40)

# The release multiplies the backbone's gradient by 0.1 but not its weight decay, which equals a
# tenth of the rate with ten times the decay.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=3e-3, momentum=0.9, nesterov=True, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1, decay_mult=10)}))
param_scheduler = [dict(type='MultiStepLR', milestones=[60, 120, 180], gamma=0.1, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=10)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=40)
