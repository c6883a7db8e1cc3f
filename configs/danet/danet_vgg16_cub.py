# DANet on CUB-200-2011, the release's recipe (total batch 30), with our own class hierarchy.
_base_ = [
    '../_base_/models/vgg16.py',
    '../_base_/hierarchies/cub.py',
    '../_base_/datasets/cub_squashed.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        out_indices=(2, 3, 4),  # pool 3, pool 4, conv5_3: orders, families, species
        non_local_stages=(),
        act_cfg=dict(type='ReLU')),
    head=dict(
        type='DANetHead',
        num_classes=200,
        hierarchy={{_base_.hierarchy}},
        in_channels=(256, 512, 512),
        hidden_channels=(512, 1024, 1024),
        num_maps=8,
        similarity_weight=0.01,
        localizer=dict(map_rule='top1', box_rule='danet', theta=0.1)))

train_dataloader = dict(batch_size=30)

# twice the rate for biases, ten times for new layers
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4),
    paramwise_cfg=dict(
        bias_lr_mult=2,
        custom_keys={
            'head': dict(lr_mult=10),
            **{f'branches.{level}.{layer}.bias': dict(lr_mult=20)
               for level in range(3) for layer in (0, 2, 4)},
        }))
param_scheduler = [dict(type='MultiStepLR', milestones=[80], gamma=0.1, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=5)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=30)
