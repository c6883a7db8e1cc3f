"""Localization with any MMPretrain classifier, using its weights without training."""
from collections.abc import Sequence

from mmpretrain.models import BaseClassifier, GlobalAveragePooling, ImageClassifier, LinearClsHead
from mmpretrain.registry import MODELS
from torch import nn

from cicam_mm.utils.errors import UserError

from .cam_head import CAMHead, PooledNormCAMHead
from .gradient_maps import METHODS, MapsOfClassifier

#: Plain CAM, the default of :class:`CAMHead`.
LOCALIZER = dict(map_rule='top1', box_rule='wsoleval', theta=0.2)
#: Where the maps of a classifier can come from.
CAM_METHODS = ('cam', *METHODS)


def localize_by(model: BaseClassifier,
                method: str = 'cam',
                target_layers: Sequence[str] = (),
                localizer: dict = LOCALIZER) -> ImageClassifier:
    """A model that localizes with a classifier's weights; class scores do not change.

    ``cam`` replaces pooling and linear layer of the classifier by a CAM head with the same
    weights: ResNet, Swin and other networks whose backbone returns a feature map get a
    :class:`CAMHead`; ConvNeXt and others that normalize the pooled vector get a
    :class:`PooledNormCAMHead`, which takes over that norm layer. The other methods work with any
    classifier as it is, see :class:`MapsOfClassifier`.

    Args:
        model (BaseClassifier): The classifier with its weights, which the result takes over.
        method (str): One of ``CAM_METHODS``.
        target_layers (Sequence[str]): Names of layers, such as 'backbone.layer4', whose maps
            count; without any it is the last one that gives a map.
    """
    if method not in CAM_METHODS:
        raise UserError(f'unknown method {method!r}; known are {", ".join(CAM_METHODS)}.')
    names = {key: value.data_ptr() for key, value in model.state_dict().items()}
    if method == 'cam':
        if target_layers:
            raise UserError('CAM takes the last feature map; leave target layers out, or name '
                            'another method.')
        _replace_head(model, localizer)
        localizing = model
    else:
        head = MapsOfClassifier(model, method, target_layers, localizer=localizer)
        localizing = ImageClassifier(nn.Identity(), head=head,
                                     data_preprocessor=model.data_preprocessor)
        for name in '_config', '_dataset_meta':
            if hasattr(model, name):
                setattr(localizing, name, getattr(model, name))
    _read_names_of(localizing, names)
    return localizing.eval()


@MODELS.register_module()
def LocalizedClassifier(classifier: dict, head: dict,  # noqa: N802
                        data_preprocessor: dict | None = None) -> ImageClassifier:
    """A model that localizes with a classifier, from its config; reads the classifier's weights.

    The head is a config of :class:`MapsOfClassifier`, see :func:`localize_by`.
    """
    if data_preprocessor is not None:
        classifier = dict(dict(data_preprocessor=data_preprocessor), **classifier)
    return localize_by(MODELS.build(classifier), head['method'], head['target_layers'],
                       head['localizer'])


def _read_names_of(model, places):
    """Let a model read weights by the names that tensors had before, at these places in memory."""
    now = {value.data_ptr(): key for key, value in model.state_dict().items()}
    renamed = {old: now[place] for old, place in places.items() if now.get(place, old) != old}

    def rename(module, state_dict, *args):
        if renamed.keys() <= state_dict.keys():
            for old, new in renamed.items():
                state_dict[new] = state_dict.pop(old)

    if renamed:
        model.register_load_state_dict_pre_hook(rename)


def _replace_head(model, localizer):
    head, neck, backbone = (getattr(model, name, None) for name in ('head', 'neck', 'backbone'))
    if type(head) is not LinearClsHead:
        raise UserError(f'CAM needs a linear layer on an averaged feature map, but '
                        f'{type(backbone or model).__name__} ends in '
                        f'{type(head).__name__ if head else "layers of its own"}; heads with '
                        'several layers, or on a token of a transformer, have no class maps. Take '
                        'another method, such as gradcam.')
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
                        f'this model has {type(neck).__name__ if neck else "none"}; take another '
                        'method, such as gradcam.')
    model.head.fc = head.fc
    model.head.to(head.fc.weight.device)
    model.neck = None
