# DDT: VGG16 as it is on ImageNet, up to and with its last pool.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='NonLocalVGG',
        depth=16,
        strides=(2, 2, 2, 2, 2),
        non_local_stages=(),
        act_cfg=dict(type='ReLU'),
        init_cfg=dict(
            type='Pretrained', checkpoint='{{$CICAM_VGG16_WEIGHTS:torchvision://vgg16}}')),
    head=dict(
        type='DDTHead',
        num_classes=1000,
        in_channels=512,
        localizer=dict(map_rule='top1', box_rule='ddt', theta=0.)))
