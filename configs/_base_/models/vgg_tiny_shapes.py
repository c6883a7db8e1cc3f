# The demo's backbone: stride 4, receptive field 26 px; with a receptive field as large as the
# image, no method could localize. Its weights play the role of ImageNet's: they are trained by
# configs/cam/pretrain_tiny_shapes.py on all patterns and contexts in unconfounded pictures.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='NonLocalVGG',
        depth=11,
        strides=(2, 2, 1),
        base_channels=8,
        non_local_stages=(),
        act_cfg=dict(type='LeakyReLU', negative_slope=0.1),
        frozen_stages=2,
        init_cfg=dict(type='Pretrained', checkpoint='{{fileDirname}}/vgg_tiny_shapes.pth',
                      prefix='backbone.')))
