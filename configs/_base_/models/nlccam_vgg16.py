# NL-CCAM: non-local VGG16, one CAM branch, the maps of all classes combined.
_base_ = 'vgg16.py'

model = dict(
    head=dict(
        type='CAMHead',
        num_classes=1000,
        in_channels=512,
        localizer=dict(map_rule='quadratic_two_sided', box_rule='nl_ccam', theta=0.12)))
