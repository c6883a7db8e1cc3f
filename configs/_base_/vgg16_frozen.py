# CI-CAM on ImageNet's VGG16, whose features are computed once and kept on disk.
_base_ = ['models/cicam_vgg16.py', 'default_runtime.py']

# without non-local blocks, which are not pretrained, and with the activation of ImageNet's VGG16
model = dict(
    backbone=dict(frozen_stages=5, non_local_stages=(), act_cfg=dict(type='ReLU')), neck=None)

optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=3e-3),
    paramwise_cfg=dict(custom_keys={'head.pool': dict(lr_mult=0.1)}))
# PolyLR reaches 0 one epoch before its end
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=11, by_epoch=True)]
auto_scale_lr = dict(base_batch_size=32)
train_cfg = dict(by_epoch=True, max_epochs=10, val_interval=10)
val_cfg = test_cfg = dict()

default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=10, max_keep_ckpts=1))
custom_hooks = [
    dict(type='FeatureCacheHook', folder='{{$CICAM_FEATURES:work_dirs/features}}', views=2),
    dict(type='ContextPoolHook'),
]
