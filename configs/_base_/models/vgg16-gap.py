# CAM as in most later work: a 3x3 convolution with 1,024 channels before the classifier.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='NonLocalVGG',
        depth=16,
        non_local_stages=(),
        act_cfg=dict(type='ReLU'),
        init_cfg=dict(
            type='Pretrained', checkpoint='{{$CICAM_VGG16_WEIGHTS:torchvision://vgg16}}')),
    neck=dict(type='ConvNeck', in_channels=512, out_channels=1024),
    head=dict(
        type='CAMHead',
        num_classes=1000,
        in_channels=1024,
        localizer=dict(map_rule='top1', box_rule='wsoleval', theta=0.2)))
