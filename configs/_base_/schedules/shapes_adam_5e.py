optim_wrapper = dict(optimizer=dict(type='Adam', lr=2e-3))
# a cosine that ends at 0, because small last steps reduce the variation over seeds
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=5, eta_min=0, begin=0, end=5, by_epoch=True,
         convert_to_iter_based=True)]

train_cfg = dict(by_epoch=True, max_epochs=5, val_interval=5)
val_cfg = test_cfg = dict()

auto_scale_lr = dict(base_batch_size=24)
