# A short schedule for two cores.
optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=5e-4),
    paramwise_cfg=dict(custom_keys={
        'backbone': dict(lr_mult=0.1),
        'head.pool': dict(lr_mult=0.1),
    }))

param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=8, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=8, val_interval=8)
val_cfg = dict()
test_cfg = dict()
