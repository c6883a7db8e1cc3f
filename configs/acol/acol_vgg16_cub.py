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
    *_base_.train_pipeline[:2],
    dict(type='ResizeEdge', scale=256, edge='short'),
    *_base_.train_pipeline[3:],
]

train_dataloader = dict(batch_size=20, dataset=dict(pipeline=train_pipeline))

# ten times the rate for heads, twice for biases; it is never reduced
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4),
    paramwise_cfg=dict(
        bias_lr_mult=2.,
        custom_keys={
            f'head.head_{branch}.{layer}.{kind}': dict(lr_mult=factor)
            for branch in 'ab' for layer in (0, 2, 4)
            for kind, factor in (('weight', 10), ('bias', 20))
        }))

train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=5)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=20)
