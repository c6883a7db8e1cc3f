# CI-CAM on ConvNeXt-Tiny, for which 224 px give 7 x 7.
_base_ = 'cicam_vgg16_cub.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvNeXt',
        arch='tiny',
        gap_before_final_norm=False,  # keep the feature map
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/convnext/'
            'convnext-tiny_3rdparty_32xb128_in1k_20220124-18abde00.pth',
            prefix='backbone.')),
    head=dict(in_channels=768, pool=dict(size=(7, 7))))
