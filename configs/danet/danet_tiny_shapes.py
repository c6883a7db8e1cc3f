# DANet on the demo set. Its classes have no natural groups: these pairs are arbitrary.
_base_ = '../cam/cam_tiny_shapes.py'

model = dict(
    backbone=dict(out_indices=(1, 2)),
    head=dict(
        type='DANetHead',
        hierarchy=dict(first=[0, 1], second=[2, 3], third=[4, 5]),
        in_channels=(16, 32),
        hidden_channels=(16, 32),
        num_maps=4,
        similarity_weight=0.01,
        localizer=dict(box_rule='danet', theta=0.1)))
