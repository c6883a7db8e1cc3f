# Two passes over the training images without gradients, for a head that is fitted, see FitLoop.
train_cfg = dict(type='FitLoop', max_epochs=2, val_interval=2)
val_cfg = test_cfg = dict()

# a runner asks for an optimizer; nothing uses this one
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.))
param_scheduler = []
