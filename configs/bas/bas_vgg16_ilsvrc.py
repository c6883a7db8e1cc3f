# BAS on ILSVRC: batch 128, 9 epochs, the map of one class.
_base_ = [
    '../_base_/models/bas_vgg16.py',
    '../_base_/datasets/ilsvrc_squashed.py',
    '../_base_/schedules/bas_sgd.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(
    guidance_weight=0.05,
    area_weight=1.,
    count_ties=True,
    localizer=dict(_delete_=True, map_rule='top1', box_rule='bas', theta=0.5)))

train_dataloader = dict(batch_size=128)

param_scheduler = [dict(type='MultiStepLR', milestones=[3, 6], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=9, val_interval=1)
auto_scale_lr = dict(base_batch_size=128)
