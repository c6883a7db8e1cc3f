# On ten classes of CUB: branch 2 reads the context of always the same other class.
_base_ = '../../../configs/cicam_vgg16_cub10_last-stage.py'

model = dict(head=dict(pool=dict(context='other')))
