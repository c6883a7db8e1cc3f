optim_wrapper = dict(optimizer=dict(type='Adam', lr=3e-3))
# (1 - epoch / 6)^0.9; PolyLR reaches 0 one epoch before its end
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=7, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=5, val_interval=5)
val_cfg = dict()
test_cfg = dict()
