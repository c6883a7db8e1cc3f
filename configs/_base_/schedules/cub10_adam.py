# A short schedule for two cores, for a classifier on a frozen backbone.
optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=3e-3),
    paramwise_cfg=dict(custom_keys={'head.pool': dict(lr_mult=0.1)}))

param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=9, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=8, val_interval=8)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=6)
