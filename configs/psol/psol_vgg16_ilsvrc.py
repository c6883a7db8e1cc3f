# PSOL on VGG16 and ILSVRC, the authors' recipe.
_base_ = 'psol_resnet50_ilsvrc.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='NonLocalVGG',
        depth=16,
        strides=(2, 2, 2, 2, 2),
        non_local_stages=(),
        act_cfg=dict(type='ReLU'),
        init_cfg=dict(
            type='Pretrained', checkpoint='{{$CICAM_VGG16_WEIGHTS:torchvision://vgg16}}')),
    head=dict(in_channels=512))
