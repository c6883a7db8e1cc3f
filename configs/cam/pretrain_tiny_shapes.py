# Pretraining for the demo's methods: a classifier of unconfounded pictures, whose 36 classes are
# the pairs of pattern and context.
#   python tools/train.py configs/cam/pretrain_tiny_shapes.py
# The state_dict of its epoch_12.pth is configs/_base_/models/vgg_tiny_shapes.pth.
_base_ = 'cam_tiny_shapes.py'

model = dict(
    backbone=dict(frozen_stages=0, init_cfg=[dict(type='Kaiming', layer=['Conv2d'])]),
    head=dict(num_classes=36))
data_preprocessor = dict(num_classes=36)

train_dataloader = dict(dataset=dict(num_images=3600, rho=0, seed=7, label='scene'))
val_dataloader = dict(dataset=dict(num_images=720, seed=8, label='scene'))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=6e-3))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=12, eta_min=0, begin=0, end=12, by_epoch=True,
         convert_to_iter_based=True)]
train_cfg = dict(max_epochs=12, val_interval=12)
default_hooks = dict(checkpoint=dict(
    interval=12, save_optimizer=False, save_param_scheduler=False))
