# CI-CAM on InceptionV3 up to Mixed_6e: two CAM branches and the pool, no non-local blocks.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='InceptionV3Features',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://inception_v3_google')),
    head=dict(
        type='DualCAMHead',
        num_classes=1000,
        in_channels=768,
        pool=dict(size=(17, 17), update_rate=0.01),
        localizer=dict(map_rule='quadratic', box_rule='ci_cam', theta=0.)))

custom_hooks = [dict(type='ContextPoolHook')]
