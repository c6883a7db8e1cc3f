# ACoL on CUB-200-2011, the recipe of the authors' script. Users of the release report that with
# its learning rate the loss stays at chance, 2 ln 200 = 10.6, and use 0.01 and more epochs
# instead.
_base_ = [
    '../_base_/models/acol_vgg16.py',
    '../_base_/datasets/cub_bs6.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=200))

train_pipeline = [
    dict(type='SeedPerSample'),
    dict(type='LoadWSOLImage'),
    dict(type='ResizeEdge', scale=256, edge='short'),
    dict(type='RandomCrop', crop_size=224),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]

train_dataloader = dict(batch_size=20, dataset=dict(pipeline=train_pipeline))

# ten times the rate for heads, twice for biases; it is never reduced
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4),
    paramwise_cfg=dict(
        bias_lr_mult=2.,
        custom_keys={
            'head.head_a.0.weight': dict(lr_mult=10),
            'head.head_a.2.weight': dict(lr_mult=10),
            'head.head_a.4.weight': dict(lr_mult=10),
            'head.head_b.0.weight': dict(lr_mult=10),
            'head.head_b.2.weight': dict(lr_mult=10),
            'head.head_b.4.weight': dict(lr_mult=10),
            'head.head_a.0.bias': dict(lr_mult=20),
            'head.head_a.2.bias': dict(lr_mult=20),
            'head.head_a.4.bias': dict(lr_mult=20),
            'head.head_b.0.bias': dict(lr_mult=20),
            'head.head_b.2.bias': dict(lr_mult=20),
            'head.head_b.4.bias': dict(lr_mult=20),
        }))

train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=5)
val_cfg = dict()
test_cfg = dict()

auto_scale_lr = dict(base_batch_size=20)
