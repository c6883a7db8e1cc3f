# ACoL on the demo set.
_base_ = '../cam/cam_tiny_shapes.py'

model = dict(
    head=dict(
        _delete_=True,
        type='ACoLHead',
        num_classes=6,
        in_channels=32,
        hidden_channels=32,
        threshold=0.6,
        localizer=dict(map_rule='top1', box_rule='wsoleval', theta=0.2)))
