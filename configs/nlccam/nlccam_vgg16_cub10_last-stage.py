# NL-CCAM on ten classes, in comparison with the other methods. Without non-local blocks, which are
# not pretrained, and without the 3x3 convolution of other methods, which it does not have.
_base_ = '../_base_/cub10_last-stage.py'

model = dict(neck=None, head=dict(
    in_channels=512,
    localizer=dict(map_rule='quadratic_two_sided', box_rule='nl_ccam', theta=0.12)))
