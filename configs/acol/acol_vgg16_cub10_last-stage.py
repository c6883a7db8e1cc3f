# ACoL on ten classes, in comparison with the other methods; maps are 14 x 14, as for all of them.
_base_ = '../_base_/cub10_last-stage.py'

model = dict(neck=None, head=dict(type='ACoLHead', in_channels=512, threshold=0.6))
