# TS-CAM on ILSVRC: the release's config, with the rate of its script.
_base_ = [
    '../_base_/models/ts-cam_deit-s.py',
    '../_base_/datasets/ilsvrc_squashed.py',
    '../_base_/schedules/deit_adamw.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(localizer=dict(map_rule='top1', box_rule='ts_cam', theta=0.12)))

train_dataloader = dict(batch_size=256)

optim_wrapper = dict(optimizer=dict(lr=5e-4))

# a tenth from epochs 10, 12 and 20 on, counted from 1
param_scheduler = [dict(type='MultiStepLR', milestones=[9, 11, 19], gamma=0.1, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)

auto_scale_lr = dict(base_batch_size=256)
