# Fifty classes of CUB on features of ImageNet's VGG16, which are computed once and kept on disk.
# Only layers behind them are trained: a run takes minutes on one core.
_base_ = [
    'models/vgg16-gap.py',
    'datasets/cub50.py',
    'default_runtime.py',
]

model = dict(backbone=dict(frozen_stages=5), neck=None, head=dict(num_classes=50, in_channels=512))

train_dataloader = dict(batch_size=16)
test_evaluator = [dict(type='WSOLMetric'), dict(type='MaxBoxAcc', interval=0.01)]

optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=3e-3),
    paramwise_cfg=dict(custom_keys={'head.pool': dict(lr_mult=0.1)}))
# PolyLR reaches 0 one epoch before its end
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=11, by_epoch=True)]
train_cfg = dict(by_epoch=True, max_epochs=10, val_interval=10)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=10, max_keep_ckpts=1))
custom_hooks = [dict(
    type='FeatureCacheHook', folder='{{$CICAM_FEATURES:work_dirs/features}}', views=2)]
