# CI-CAM on CUB-200-2011 with 48 images a step instead of 6, for eight large GPUs. Untested: the
# rate grows with the square root of the batch and rises during the first epoch; the pool gets an
# eighth of the updates at the same update rate.
_base_ = 'cicam_vgg16_cub.py'

train_dataloader = dict(batch_size=48)
optim_wrapper = dict(optimizer=dict(lr=1.4e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, by_epoch=True,
         convert_to_iter_based=True),
    dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=101, by_epoch=True),
    dict(type='StepLR', step_size=14, gamma=0.5, by_epoch=True),
]

auto_scale_lr = dict(base_batch_size=48)
