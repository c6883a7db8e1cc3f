# The backbone of most methods: VGG16 with ImageNet's weights, and non-local blocks unless a
# method leaves them out.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='NonLocalVGG',
        depth=16,
        init_cfg=dict(
            type='Pretrained', checkpoint='{{$CICAM_VGG16_WEIGHTS:torchvision://vgg16}}')))
