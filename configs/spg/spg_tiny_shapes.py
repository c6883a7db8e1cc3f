# SPG on the demo set.
_base_ = '../cam/cam_tiny_shapes.py'

model = dict(
    backbone=dict(out_indices=(1, 2)),
    head=dict(type='SPGHead', in_channels=(16, 32), hidden_channels=32, mask_size=96))
