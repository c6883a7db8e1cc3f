# CI-CAM on CUB-200-2011 as the paper prints it. Guesses, taken from the release because the paper
# is silent: where the non-local blocks sit and the stride of 16, training views, the decay of the
# learning rate, gamma (Eq. 3), the second cut of the box rule. docs/protocols.md has them line by
# line.
_base_ = 'cicam_vgg16_cub.py'

model = dict(
    backbone=dict(act_cfg=dict(type='ReLU')),  # that of VGG16
    head=dict(pool=dict(
        update='before',  # Eq. 7, then Eq. 8
        counted='all',
        renormalized='touched',
        projection='shared')))  # Q_pi in Eq. 8 is one map

# one rate for all layers
optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.99)), paramwise_cfg=None)
