# One branch and one loss, as NL-CCAM.
_base_ = 'own.py'

model = dict(
    head=dict(
        _delete_=True,
        type='CAMHead',
        num_classes=6,
        in_channels=32,
        localizer=dict(map_rule='quadratic', box_rule='ci_cam', theta=0.)))
custom_hooks = []
