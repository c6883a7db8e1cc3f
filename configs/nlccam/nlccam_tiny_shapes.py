# NL-CCAM's combined map on the demo set: one branch, no pool. As in ../cicam_tiny_shapes.py there
# are no non-local blocks, which would see the whole image.
_base_ = '../cicam_tiny_shapes.py'

model = dict(
    head=dict(
        _delete_=True,
        type='CAMHead',
        num_classes=6,
        in_channels=32,
        localizer=dict(map_rule='quadratic', box_rule='nl_ccam', theta=0.)))

custom_hooks = []
