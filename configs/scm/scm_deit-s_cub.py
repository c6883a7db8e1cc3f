# SCM on CUB-200-2011: the release's config, with the rate of its readme.
_base_ = '../ts-cam/ts-cam_deit-s_cub.py'

model = dict(head=dict(type='SCMHead'))

train_dataloader = dict(batch_size=16)

# a tenth in the last epoch
param_scheduler = [dict(type='MultiStepLR', milestones=[29], gamma=0.1, by_epoch=True)]

train_cfg = dict(max_epochs=30)

auto_scale_lr = dict(base_batch_size=16)
