# TS-CAM on CUB-200-2011: the release's config, with the rate of its script.
_base_ = [
    '../_base_/models/ts-cam_deit-s.py',
    '../_base_/datasets/cub_squashed.py',
    '../_base_/schedules/deit_adamw.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=200))

train_dataloader = dict(batch_size=128, num_workers=8)

# a tenth from epochs 30 and 60 on, counted from 1
param_scheduler = [dict(type='MultiStepLR', milestones=[29, 59], gamma=0.1, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=5)

auto_scale_lr = dict(base_batch_size=128)
