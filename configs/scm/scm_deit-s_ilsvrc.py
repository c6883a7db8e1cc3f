# SCM on ILSVRC: the release's config, with the rate of its readme.
_base_ = '../ts-cam/ts-cam_deit-s_ilsvrc.py'

model = dict(head=dict(type='SCMHead', localizer=dict(box_rule='wsoleval', theta=0.2)))

train_dataloader = dict(batch_size=512)

optim_wrapper = dict(optimizer=dict(lr=1e-6))

auto_scale_lr = dict(base_batch_size=512)
