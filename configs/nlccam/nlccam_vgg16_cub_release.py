# NL-CCAM as the baseline of CI-CAM's paper ("Baseline*"), trained and tested exactly as
# ../cicam_vgg16_cub_release.py. The paper does not state its map rule, box rule and theta; these
# are NL-CCAM's own.
_base_ = '../cicam_vgg16_cub_release.py'

model = dict(
    head=dict(
        _delete_=True,
        type='CAMHead',
        num_classes=200,
        in_channels=512,
        localizer=dict(map_rule='quadratic_two_sided', box_rule='nl_ccam', theta=0.12)))

custom_hooks = []
