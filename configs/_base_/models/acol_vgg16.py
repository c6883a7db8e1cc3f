# ACoL: 3x3 max pools, the last two with stride 1, so maps are 28 x 28; two heads.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='NonLocalVGG',
        depth=16,
        strides=(2, 2, 2, 1, 1),
        pool_sizes=(3, 3, 3, 3, 3),
        non_local_stages=(),
        act_cfg=dict(type='ReLU'),
        init_cfg=dict(
            type='Pretrained', checkpoint='{{$CICAM_VGG16_WEIGHTS:torchvision://vgg16}}')),
    head=dict(
        type='ACoLHead',
        num_classes=1000,
        in_channels=512,
        threshold=0.6,
        localizer=dict(map_rule='top1', box_rule='wsoleval', theta=0.2)))
