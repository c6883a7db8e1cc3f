# A short schedule for two cores: lr 1e-3 for new layers and a tenth of it for layers of VGG.
optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=1e-3),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1),
                                    'head.pool': dict(lr_mult=0.1)}))

# (1 - epoch / 3)^0.9; PolyLR reaches 0 one epoch before its end
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=4, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=3, val_interval=3)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=6)
