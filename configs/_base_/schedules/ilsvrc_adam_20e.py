# What the paper tells for ILSVRC: Adam with these betas, lr 1e-4, total batch 40, 20 epochs. It
# tells neither a schedule nor a factor for the backbone; those are carried over from CUB's recipe.
_base_ = 'cub_adam_100e.py'

optim_wrapper = dict(optimizer=dict(lr=1e-4, betas=(0.9, 0.99)))
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=21, by_epoch=True)]
train_cfg = dict(max_epochs=20, val_interval=1)
auto_scale_lr = dict(base_batch_size=40)
