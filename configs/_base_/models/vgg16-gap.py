# CAM as in most later work: a 3x3 convolution with 1,024 channels before the classifier.
_base_ = 'cam_vgg16.py'

model = dict(
    backbone=dict(act_cfg=dict(type='ReLU')),
    neck=dict(type='ConvNeck', in_channels=512, out_channels=1024),
    head=dict(in_channels=1024))
