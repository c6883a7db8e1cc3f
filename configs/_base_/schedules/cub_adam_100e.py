# The release's recipe for CUB: total batch 6, lr 5e-4 for the classifier, a tenth for the rest.
optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=5e-4, betas=(0.9, 0.999)),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1),
                                    'head.pool': dict(lr_mult=0.1)}))

# (1 - epoch / 100)^0.9, halved every 14 epochs; PolyLR reaches 0 one epoch before its end
param_scheduler = [
    dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=101, by_epoch=True),
    dict(type='StepLR', step_size=14, gamma=0.5, by_epoch=True),
]

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=5)
val_cfg = test_cfg = dict()

# images of a step, shared by all processes; the learning rate is for that many
auto_scale_lr = dict(base_batch_size=6)
