# Ten classes of CUB to compare methods on: the last stage of VGG16 and all later layers are
# trained, because methods that change features have no effect on a frozen backbone.
_base_ = [
    'models/vgg16-gap.py',
    'datasets/cub10.py',
    'schedules/cub10_adam_3e.py',
    'default_runtime.py',
]

model = dict(backbone=dict(frozen_stages=4), head=dict(num_classes=10))

# The val split, to choose theta on: every fifth training image, six of each class, is held out.
train_dataloader = dict(dataset=dict(indices=[i for i in range(300) if i % 5]))
val_dataloader = dict(dataset=dict(split='train', indices=list(range(0, 300, 5))))

test_evaluator = [dict(type='WSOLMetric'), dict(type='MaxBoxAcc')]

default_hooks = dict(logger=dict(interval=10))
