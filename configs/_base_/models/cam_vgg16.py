# Plain CAM: VGG16 without non-local blocks, the map of one class.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='NonLocalVGG',
        depth=16,
        non_local_stages=(),
        init_cfg=dict(
            type='Pretrained', checkpoint='{{$CICAM_VGG16_WEIGHTS:torchvision://vgg16}}')),
    head=dict(
        type='CAMHead',
        num_classes=1000,
        in_channels=512,
        localizer=dict(map_rule='top1', box_rule='wsoleval', theta=0.2)))
