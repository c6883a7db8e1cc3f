# On ten classes of CUB: branch 2 reads the mean of all contexts.
_base_ = '../../../configs/cicam_vgg16_cub10_last-stage.py'

model = dict(head=dict(pool=dict(context='mean')))
