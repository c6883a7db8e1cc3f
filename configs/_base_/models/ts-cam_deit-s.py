# TS-CAM on DeiT-S without distillation token, with MMPretrain's weights.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='TokenAttentionViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/deit/'
            'deit-small_pt-4xb256_in1k_20220218-9425b9bb.pth',
            prefix='backbone.')),
    head=dict(type='TSCAMHead', num_classes=1000, in_channels=384))
