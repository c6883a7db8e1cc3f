# CI-CAM on CUB-200-2011 exactly as in the paper where the release differs: Eq. 7 counts every
# image and renormalizes only the classes of the step, and Adam has other betas.
_base_ = 'cicam_vgg16_cub.py'

model = dict(head=dict(pool=dict(counted='all', renormalized='touched')))
optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.99)))
