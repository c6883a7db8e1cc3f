# The demo's backbone: stride 4, receptive field 26 px; with one as large as the image no method
# can localize. Its weights stand for those of ImageNet: they come from
# configs/cam/pretrain_tiny_shapes.py and know all patterns and contexts of unconfounded pictures.
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
