# BAS on CUB-200-2011, the authors' recipe: batch 32, 100 epochs.
_base_ = [
    '../_base_/models/bas_vgg16.py',
    '../_base_/datasets/cub_squashed.py',
    '../_base_/schedules/bas_sgd.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=200))

train_dataloader = dict(batch_size=32)
