# SPG on the demo set.
_base_ = '../cam/cam_tiny_shapes.py'

model = dict(
    backbone=dict(out_indices=(1, 2)),
    head=dict(
        _delete_=True,
        type='SPGHead',
        num_classes=6,
        in_channels=(16, 32),
        hidden_channels=32,
        mask_size=96,
        localizer=dict(map_rule='top1', box_rule='wsoleval', theta=0.2)))
