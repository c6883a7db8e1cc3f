# NL-CCAM on CUB-200-2011 with the authors' recipe: batch 16, no halving of the learning rate.
_base_ = [
    '../_base_/models/nlccam_vgg16.py',
    '../_base_/datasets/cub_bs6.py',
    '../_base_/schedules/cub_adam_100e.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=200))

train_dataloader = dict(batch_size=16)
param_scheduler = [
    dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=101, by_epoch=True)
]
auto_scale_lr = dict(base_batch_size=16)
