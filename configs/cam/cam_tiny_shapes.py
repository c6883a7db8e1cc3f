# Plain CAM on the demo set.
_base_ = '../cicam_tiny_shapes.py'

model = dict(
    head=dict(
        _delete_=True,
        type='CAMHead',
        num_classes=6,
        in_channels=32,
        localizer=dict(map_rule='top1', box_rule='wsoleval', theta=0.2)))

custom_hooks = []
