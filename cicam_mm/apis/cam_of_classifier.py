"""Localization with any MMPretrain classifier, using its weights without training."""
from collections.abc import Sequence

from mmpretrain.models import GlobalAveragePooling, ImageClassifier, LinearClsHead
from torch import nn

from cicam_mm.models.cam_head import CAMHead, PooledNormCAMHead
from cicam_mm.utils.errors import UserError

#: Plain CAM, the default of :class:`CAMHead`.
LOCALIZER = dict(map_rule='top1', box_rule='wsoleval', theta=0.2)


def localize_by_cam(model: ImageClassifier, localizer: dict = LOCALIZER) -> None:
    """Replace a classifier's pooling and linear layer by a CAM head with the same weights.

    Class scores do not change. ResNet, Swin and other networks whose backbone returns a feature
    map get a :class:`CAMHead`; ConvNeXt and others that normalize the pooled vector get a
    :class:`PooledNormCAMHead`, which takes over that norm layer.

    Args:
        model (ImageClassifier): The classifier with its weights; changed in place.
        localizer (dict): Config of the localizer. Defaults to plain CAM with theta 0.2.

    Raises:
        UserError: If the classifier is not a linear layer on an averaged feature map; the message
            says what it is instead.
    """
    head, neck, backbone = model.head, getattr(model, 'neck', None), model.backbone
    if type(head) is not LinearClsHead:
        raise UserError(f'CAM needs a linear layer on an averaged feature map, but '
                        f'{type(backbone).__name__} ends in {type(head).__name__}; heads with '
                        'several layers, or on a token of a transformer, have no class maps.')
    options = dict(num_classes=head.num_classes, in_channels=head.fc.in_features,
                   localizer=localizer)
    if getattr(backbone, 'gap_before_final_norm', False):
        name = f'norm{max(backbone.out_indices)}'
        model.head = PooledNormCAMHead(getattr(backbone, name), **options)
        setattr(backbone, name, nn.Identity())
        backbone.gap_before_final_norm = False
    elif type(neck) is GlobalAveragePooling:
        model.head = CAMHead(**options)
    else:
        raise UserError('CAM needs an average of the feature map before the linear layer, but '
                        f'this model has {type(neck).__name__ if neck else "none"}.')
    model.head.fc = head.fc
    model.head.to(head.fc.weight.device)
    model.neck = None


def whole_image_pipeline(pipeline: Sequence[dict]) -> list[dict]:
    """A test pipeline that squashes the whole image to the input size of the given pipeline.

    Cropping is left out, because boxes of a crop are not boxes of the image.

    Args:
        pipeline (Sequence[dict]): Configs of transforms.

    Raises:
        UserError: If no transform defines the size.
    """
    sizes = [step.get('crop_size') or step.get('scale') for step in pipeline
             if step['type'].split('.')[-1] in ('CenterCrop', 'Resize', 'ResizeEdge')]
    if not sizes:
        raise UserError('the test pipeline of this config does not define the size of the '
                        "network's input; add dict(type='CenterCrop', crop_size=...).")
    size = sizes[-1]
    scale = (size, size) if isinstance(size, int) else tuple(size)
    return [dict(type='LoadImageFromFile'), dict(type='Resize', scale=scale),
            dict(type='PackInputs')]
