# NL-CCAM beside the other methods on ten classes. No non-local blocks, which would start from
# nothing, and no 3x3 convolution, which it does not have.
_base_ = '../_base_/cub10_last-stage.py'

model = dict(
    neck=None,
    head=dict(
        _delete_=True,
        type='CAMHead',
        num_classes=10,
        in_channels=512,
        localizer=dict(map_rule='quadratic_two_sided', box_rule='nl_ccam', theta=0.12)))
