# NL-CCAM: non-local VGG16, one CAM branch, the maps of all classes combined.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='NonLocalVGG',
        depth=16,
        init_cfg=dict(
            type='Pretrained', checkpoint='{{$CICAM_VGG16_WEIGHTS:torchvision://vgg16}}')),
    head=dict(
        type='CAMHead',
        num_classes=1000,
        in_channels=512,
        localizer=dict(map_rule='quadratic_two_sided', box_rule='nl_ccam', theta=0.12)))
