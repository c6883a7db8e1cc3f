# "Evaluating WSOL Methods Right" on CUB, batch 32. Its learning rates were tuned for each method
# and are not published; this one, for CAM, is from a third party and unverified.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=1.268e-4, momentum=0.9, nesterov=True, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))

# divided by 10 at the start of epochs 15, 30 and 45, counted from 1
param_scheduler = [dict(type='MultiStepLR', milestones=[14, 29, 44], gamma=0.1, by_epoch=True)]

train_cfg = dict(by_epoch=True, max_epochs=50, val_interval=5)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=32)
