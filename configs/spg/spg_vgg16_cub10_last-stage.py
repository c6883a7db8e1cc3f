# SPG on ten classes, in comparison with the other methods.
_base_ = '../_base_/cub10_last-stage.py'

model = dict(
    backbone=dict(pool_sizes=(2, 2, 2, 3, None), out_indices=(3, 4)),
    neck=None,
    head=dict(
        _delete_=True,
        type='SPGHead',
        num_classes=10,
        localizer=dict(map_rule='top1', box_rule='wsoleval', theta=0.2)))
