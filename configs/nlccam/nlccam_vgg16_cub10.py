# NL-CCAM, to be compared with ../cicam_vgg16_cub10.py.
_base_ = '../cam/cam_vgg16_cub10.py'

model = dict(head=dict(
    localizer=dict(map_rule='quadratic_two_sided', box_rule='nl_ccam', theta=0.12)))
