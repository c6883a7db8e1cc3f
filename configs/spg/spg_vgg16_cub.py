# SPG on CUB-200-2011, ported to VGG16 and trained as in "Evaluating WSOL Methods Right" (CVPR
# 2020).
_base_ = '../cam/cam_vgg16_cub_wsoleval.py'

model = dict(
    backbone=dict(pool_sizes=(2, 2, 2, 3, None), out_indices=(3, 4)),
    neck=None,
    head=dict(
        _delete_=True,
        type='SPGHead',
        num_classes=200,
        localizer=dict(map_rule='top1', box_rule='wsoleval', theta=0.2)))

# there, stages 4 and 5 have the learning rate of new layers
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={
        'backbone': dict(_delete_=True, lr_mult=1.),
        **{f'backbone.features.{i}.': dict(lr_mult=0.1) for i in (0, 1, 3, 4, 6, 7, 8)},
    }))
