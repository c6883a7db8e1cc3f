import re
import warnings
from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, build_activation_layer, is_norm
from mmengine.model import ModuleDict
from mmpretrain.models.backbones import VGG
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cicam_mm.models.plugins.non_local import NonLocalBlock

# Its convolutions are a tenth to a half faster in channels-last order.
ONEDNN = torch.backends.mkldnn.is_available()

# The same before and behind a max pool, which leaves them a quarter of the positions.
NON_DECREASING = {'ReLU', 'LeakyReLU'}


@MODELS.register_module()
class NonLocalVGG(BaseBackbone):
    """VGG with non-local blocks between its stages, without fully connected layers.

    The backbone of NL-CCAM and CI-CAM. Modules are named as in mmpretrain's ``VGG``
    (``features.N.conv``); weights with torchvision's names (``features.N``) load as well.
    On the CPU feature maps are in channels-last order; :class:`ChannelsLastHook` makes them so
    on a GPU.

    Args:
        depth (int): 11, 13, 16 or 19. Defaults to 16.
        strides (Sequence[int]): Per stage, 2 for a max pool behind it, 1 for none; as many
            stages as entries. Defaults to (2, 2, 2, 2, 1), which makes 224 px to 14 x 14.
        base_channels (int): Channels of stage 1; they double up to eight times that.
            Defaults to 64.
        non_local_stages (Sequence[int]): Stages, counted from 1, followed by a non-local block
            (behind the max pool). Defaults to (2, 3, 4, 5).
        reduction (int): Channel reduction of query and key. Defaults to 8.
        norm_cfg (dict, optional): Norm layer of the VGG convolutions. Defaults to None.
        non_local_norm_cfg (dict): Norm layer of the non-local blocks. Defaults to
            ``dict(type='BN')``.
        act_cfg (dict): Activation; ReLU and LeakyReLU come behind the max pool where there is
            one, with the same result. Defaults to LeakyReLU(0.2).
        frozen_stages (int): Stages 1 to this one, with their non-local blocks, are not
            trained. Defaults to 0.
        norm_eval (bool): Keep norm layers in eval mode while training. Defaults to False.
        init_cfg (dict, list): Initialization; ``dict(type='Pretrained', checkpoint=...)``
            loads weights. Defaults to mmpretrain's for VGG.
    """

    def __init__(self,
                 depth: int = 16,
                 strides: Sequence[int] = (2, 2, 2, 2, 1),
                 base_channels: int = 64,
                 non_local_stages: Sequence[int] = (2, 3, 4, 5),
                 reduction: int = 8,
                 norm_cfg: dict | None = None,
                 non_local_norm_cfg: dict = dict(type='BN'),
                 act_cfg: dict = dict(type='LeakyReLU', negative_slope=0.2),
                 frozen_stages: int = 0,
                 norm_eval: bool = False,
                 init_cfg=[
                     dict(type='Kaiming', layer=['Conv2d']),
                     dict(type='Constant', val=1., layer=['_BatchNorm']),
                 ]):
        super().__init__(init_cfg)
        _check_structure(depth, strides, non_local_stages, frozen_stages)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.features = nn.Sequential()
        self.non_local = ModuleDict()  # passes init_weights on to the blocks
        self._stage_ends = []
        in_channels = 3
        for i, stride in enumerate(strides):
            channels = base_channels * min(2**i, 8)
            activations = [act_cfg] * VGG.arch_settings[depth][i]
            pool = [nn.MaxPool2d(2)] if stride == 2 else []
            if pool and act_cfg['type'] in NON_DECREASING:
                pool.append(build_activation_layer(dict(act_cfg, inplace=True)))
                activations[-1] = None
            for activation in activations:
                # with a bias also before BN, as torchvision's vgg*_bn, which mmcv warns of
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')
                    conv = ConvModule(in_channels, channels, 3, padding=1, bias=True,
                                      norm_cfg=norm_cfg, act_cfg=activation)
                self.features.append(conv)
                in_channels = channels
            if pool:
                self.features.append(nn.Sequential(*pool))
            self._stage_ends.append(len(self.features))
            if i + 1 in non_local_stages:
                self.non_local[str(i + 1)] = NonLocalBlock(channels, reduction, non_local_norm_cfg)
        self._freeze()
        self._register_load_state_dict_pre_hook(self._read_foreign_weights)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Features of the last stage.

        Args:
            x (Tensor): Images, shape (B, 3, H, W).

        Returns:
            tuple[Tensor]: One feature map, shape (B, c, H / stride, W / stride).
        """
        if ONEDNN and x.device.type == 'cpu':
            # not the weights: how they are initialized would depend on their order
            x = x.contiguous(memory_format=torch.channels_last)
        start = 0
        for stage, end in enumerate(self._stage_ends, 1):
            for layer in self.features[start:end]:
                x = layer(x)
            if str(stage) in self.non_local:
                x = self.non_local[str(stage)](x)
            start = end
        return (x, )

    def train(self, mode: bool = True):
        super().train(mode)
        self._freeze()
        if self.norm_eval:
            for module in self.modules():
                if is_norm(module):
                    module.eval()
        return self

    def _freeze(self):
        frozen = list(self.features[:self._stage_ends[self.frozen_stages - 1]]
                      ) if self.frozen_stages else []
        frozen += [m for stage, m in self.non_local.items() if int(stage) <= self.frozen_stages]
        for module in frozen:
            module.eval().requires_grad_(False)

    def _read_foreign_weights(self, state_dict, prefix, *args):
        """Rename torchvision's ``features.N.*`` and refuse weights that are of no VGG."""
        renamed = _from_torchvision(state_dict, prefix, self.features)
        for old, new in renamed.items():
            state_dict[new] = state_dict.pop(old)
        own = {prefix + name for name in self.state_dict()}
        if not prefix and not own & state_dict.keys():
            raise ValueError(
                f'no key of these weights fits the backbone: they hold {_some(state_dict)}, it '
                f'needs {_some(own)} or torchvision\'s features.N.weight. If they belong to a '
                "whole model, add prefix='backbone.' to init_cfg.")


def _check_structure(depth, strides, non_local_stages, frozen_stages):
    if depth not in VGG.arch_settings:
        raise ValueError(f'unknown VGG depth {depth}; known are {[*VGG.arch_settings]}.')
    stages = len(strides)
    if not 1 <= stages <= 5 or not set(strides) <= {1, 2}:
        raise ValueError(f'strides are 1 or 2 for each of up to 5 stages, got {strides}.')
    if not set(non_local_stages) <= set(range(1, stages + 1)):
        raise ValueError(f'non_local_stages {non_local_stages} name stages that are not among '
                         f'1 to {stages}.')
    if not 0 <= frozen_stages <= stages:
        raise ValueError(f'frozen_stages is between 0 and {stages}, got {frozen_stages}.')


def _from_torchvision(state_dict, prefix, features):
    """Map torchvision's keys to ours: both list convolutions and norms in the same order."""
    pattern = re.compile(re.escape(prefix) + r'features\.(\d+)\.(weight|bias|running_\w+|num_\w+)')
    found = {}
    for key in state_dict:
        match = pattern.fullmatch(key)
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = key
    names = [f'{prefix}features.{i}.{part}' for i, module in enumerate(features)
             if isinstance(module, ConvModule)
             for part in (['conv', module.norm_name] if module.with_norm else ['conv'])]
    pairs = zip((found[i] for i in sorted(found)), names, strict=False)
    return {key: f'{name}.{parameter}' for parameters, name in pairs
            for parameter, key in parameters.items()}


def _some(keys):
    keys = sorted(keys)
    return ', '.join(keys[:3]) + (', ...' if len(keys) > 3 else '')
