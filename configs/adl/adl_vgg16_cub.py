# ADL on CUB-200-2011, the authors' recipe: batch 128, 105 epochs of 32,000 images as they count
# them, which are 560 passes over the data set. According to them, 200 passes are enough.
_base_ = [
    '../_base_/models/vgg16-gap.py',
    '../_base_/datasets/cub_squashed.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(plugins=[dict(cfg=dict(type='ADL', gamma=0.8, p=0.75), stages=(3, 4, 5))]),
    head=dict(num_classes=200, localizer=dict(box_rule='adl')))

train_dataloader = dict(batch_size=128, num_workers=8)

# lr 0.01 for new layers and a tenth of it for pretrained ones; no weight decay of biases
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4),
    paramwise_cfg=dict(
        bias_decay_mult=0.,
        custom_keys={
            'neck.conv.conv.weight': dict(lr_mult=10),
            'neck.conv.conv.bias': dict(lr_mult=10, decay_mult=0.),
            'head.fc.weight': dict(lr_mult=10),
            'head.fc.bias': dict(lr_mult=10, decay_mult=0.),
        }))

# the authors' epochs 30, 60, 90 and 100, in passes
param_scheduler = [
    dict(type='MultiStepLR', milestones=[160, 320, 480, 534], gamma=0.1, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=560, val_interval=20)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=128)
