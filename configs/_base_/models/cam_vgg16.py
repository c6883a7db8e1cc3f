# Plain CAM: VGG16 without non-local blocks, the map of one class.
_base_ = 'vgg16.py'

model = dict(
    backbone=dict(non_local_stages=()),
    head=dict(
        type='CAMHead',
        num_classes=1000,
        in_channels=512,
        localizer=dict(map_rule='top1', box_rule='wsoleval', theta=0.2)))
