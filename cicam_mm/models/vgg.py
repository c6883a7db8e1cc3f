import re
import warnings
from collections.abc import Sequence
from inspect import signature
from itertools import chain
from typing import Literal

import torch
from mmcv.cnn import ConvModule, build_activation_layer, is_norm
from mmcv.cnn.bricks.plugin import infer_abbr
from mmengine.model import ModuleDict
from mmpretrain.models.backbones import VGG
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from cicam_mm.utils.errors import UserError, check_choices

from .memory_format import order_images, order_weights, training_format

# These commute with a max pool, after which they act on a quarter of the positions.
NON_DECREASING = {'ReLU', 'LeakyReLU'}

POSITIONS = ('before_pool', 'after_pool')


@MODELS.register_module()
class NonLocalVGG(BaseBackbone):
    """VGG without linear layers, with plugins such as non-local blocks between its stages.

    The backbone of NL-CCAM and CI-CAM. Modules are named as in mmpretrain's ``VGG``
    (``features.N.conv``); weights with torchvision's names (``features.N``) load as well.
    On the CPU, feature maps have the faster memory format; on a GPU, :class:`ChannelsLastHook`
    makes them channels-last.

    Args:
        strides (Sequence[int]): Stride of each stage, 2 or 1; its length is the number of
            stages. With the default, 224 px give 14 x 14.
        pool_sizes (Sequence[int | None], optional): Window of the max pool at the end of each
            stage: 2, 3 (with padding 1), or None for no pool. None for all of them means 2 for a
            stride of 2, and no pool for a stride of 1.
        out_indices (Sequence[int]): Stages whose features to return, counted from 0, or from
            the end if negative.
        base_channels (int): Channels of stage 1; they double with each stage, up to eight times
            that.
        plugins (Sequence[dict]): Modules between the layers, as in mmdet:
            ``dict(cfg=dict(type=...), stages=(...), position=...)`` gives the module, its stages,
            counted from 1, and its position, 'before_pool' or 'after_pool' (the default). A module
            with an argument ``in_channels`` gets the channels of its stage.
        non_local_stages (Sequence[int]): Stages with a :class:`NonLocalBlock` after the pool;
            a shorthand for such a plugin.
        act_cfg (dict): Activation; ReLU and LeakyReLU are applied after the max pool, if there
            is one, which gives the same result.
        first_stage (int): The first stage that this module has; the options still count from
            stage 1, and layers keep the names that they have in the whole network. With 5 it is
            the last stage, for a head that starts from its pretrained weights.
        frozen_stages (int): Stages 1 to this one are not trained, nor are the parameters of
            their plugins.
        memory_format (str): Of the feature maps: 'channels_last', 'as_is' for that of the images,
            or 'auto' for the faster one, see :func:`choose_memory_format`.
    """

    def __init__(self,
                 depth: Literal[11, 13, 16, 19] = 16,
                 strides: Sequence[int] = (2, 2, 2, 2, 1),
                 pool_sizes: Sequence[int | None] | None = None,
                 out_indices: Sequence[int] = (-1, ),
                 base_channels: int = 64,
                 plugins: Sequence[dict] = (),
                 non_local_stages: Sequence[int] = (2, 3, 4, 5),
                 reduction: int = 8,
                 norm_cfg: dict | None = None,
                 non_local_norm_cfg: dict = dict(type='TotalBatchNorm'),
                 act_cfg: dict = dict(type='LeakyReLU', negative_slope=0.2),
                 first_stage: int = 1,
                 frozen_stages: int = 0,
                 norm_eval: bool = False,
                 memory_format: Literal['auto', 'channels_last', 'as_is'] = 'auto',
                 init_cfg=[
                     dict(type='Kaiming', layer=['Conv2d']),
                     dict(type='Constant', val=1., layer=['_BatchNorm']),
                 ]):
        super().__init__(init_cfg)
        check_choices(NonLocalVGG, depth=depth, memory_format=memory_format)
        if pool_sizes is None:
            pool_sizes = [2 if stride == 2 else None for stride in strides]
        non_local = dict(type='NonLocalBlock', reduction=reduction, norm_cfg=non_local_norm_cfg)
        plugins = [dict(cfg=non_local, stages=non_local_stages), *plugins]
        _check_structure(
            strides, pool_sizes, out_indices, first_stage, frozen_stages, plugins)
        self.out_indices = {index % len(strides) for index in out_indices}
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.skipped_stages = 0
        self.memory_format = memory_format
        self.features = nn.Sequential()
        self._steps = []  # for each stage, its modules in order: (name of the container, key)
        in_channels = 3
        for i, (stride, pool_size) in enumerate(zip(strides, pool_sizes, strict=True)):
            channels = base_channels * min(2**i, 8)
            before, after = (
                [plugin['cfg'] for plugin in plugins if i + 1 in plugin['stages']
                 and plugin.get('position', 'after_pool') == position] for position in POSITIONS)
            activations = [act_cfg] * VGG.arch_settings[depth][i]
            pool = [nn.MaxPool2d(pool_size, stride, pool_size // 3)] if pool_size else []
            if pool and not before and act_cfg['type'] in NON_DECREASING:
                pool.append(build_activation_layer(dict(act_cfg, inplace=True)))
                activations[-1] = None
            self._steps.append([])
            for activation in activations:
                # a bias even before BN, as in torchvision's vgg*_bn; mmcv warns about that
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')
                    self._add_layer(ConvModule(in_channels, channels, 3, padding=1, bias=True,
                                               norm_cfg=norm_cfg, act_cfg=activation))
                in_channels = channels
            self._add_plugins(before, f'{i + 1}_before_pool', channels)
            if pool:
                self._add_layer(nn.Sequential(*pool))
            self._add_plugins(after, f'{i + 1}', channels)
        # convolutions and norms of the stages before
        self._skipped = sum(VGG.arch_settings[depth][:first_stage - 1]) * (2 if norm_cfg else 1)
        for steps in self._steps[:first_stage - 1]:
            for container, key in steps:
                del getattr(self, container)._modules[key]  # `del features[0]` would renumber
            steps.clear()
        order_weights(self, training_format(memory_format))
        self._freeze()
        self._register_load_state_dict_pre_hook(self._read_foreign_weights)

    def init_weights(self):
        order_weights(self, torch.contiguous_format)  # random draws follow the order in memory
        super().init_weights()
        order_weights(self, training_format(self.memory_format))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Feature maps (B, c, H / stride, W / stride) of the stages in ``out_indices``, in order.

        From images (B, 3, H, W), or after :meth:`skip_frozen_part` from the output of
        :meth:`frozen_part`.
        """
        x = order_images(x, self.memory_format)
        outs = []
        for index, steps in enumerate(self._steps):
            for module in self._modules_of(steps) if index >= self.skipped_stages else ():
                x = module(x)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def frozen_part(self) -> nn.Sequential:
        """The frozen stages, from images to the input of the first stage that is trained."""
        frozen = self._steps[:self.frozen_stages]
        if not frozen:
            raise UserError('no stage of the backbone is frozen; set model.backbone.frozen_stages')
        if early := [i for i in self.out_indices if i < self.frozen_stages - 1]:
            raise UserError(f'the method reads stage {early[0] + 1}, before the last frozen one '
                            f'({self.frozen_stages}); train without the cache')
        steps = [*chain.from_iterable(frozen)]
        modules = self._modules_of(steps)
        for (container, key), module in zip(steps, modules, strict=True):
            if container != 'features' and not [*module.parameters()]:
                raise UserError(f'the plugin {container} acts within the frozen stages '
                                f'({container}.{key}); train without the cache')
        return nn.Sequential(*modules)

    def skip_frozen_part(self) -> None:
        """From now on :meth:`forward` takes the output of :meth:`frozen_part`."""
        self.skipped_stages = self.frozen_stages

    def _modules_of(self, steps):
        return [getattr(self, container)._modules[key] for container, key in steps]

    def _add_layer(self, layer: nn.Module):
        self._steps[-1].append(('features', str(len(self.features))))
        self.features.append(layer)

    def _add_plugins(self, cfgs: Sequence[dict], key: str, channels: int):
        """Add plugins, with one ModuleDict for each type: ``non_local.2``."""
        for cfg in cfgs:
            cls = MODELS.get(cfg['type'])
            takes_channels = cls and 'in_channels' in signature(cls).parameters
            plugin = MODELS.build(dict(cfg, in_channels=channels) if takes_channels else cfg)
            container = infer_abbr(cls)
            if container not in self._modules:
                self.add_module(container, ModuleDict())  # mmengine's, which has init_weights
            if key in getattr(self, container):
                raise UserError(f'two plugins {cfg["type"]} have the same position in stage '
                                f'{key[0]}; name each position once.')
            getattr(self, container)._modules[key] = plugin
            self._steps[-1].append((container, key))

    def train(self, mode: bool = True):
        super().train(mode)
        self._freeze()
        if self.norm_eval:
            for module in self.modules():
                if is_norm(module):
                    module.eval()
        return self

    def _freeze(self):
        for module in self._modules_of(chain.from_iterable(self._steps[:self.frozen_stages])):
            if [*module.parameters()]:  # others, such as dropout, stay active
                module.eval().requires_grad_(False)

    def _read_foreign_weights(self, state_dict, prefix, *args):
        """Rename torchvision's ``features.N.*``, and refuse weights that are not a VGG's."""
        renamed = _from_torchvision(state_dict, prefix, self.features, self._skipped)
        for old, new in renamed.items():
            state_dict[new] = state_dict.pop(old)
        own = {prefix + name for name in self.state_dict()}
        if not prefix and not own & state_dict.keys():
            raise UserError(
                f'no key of these weights fits the backbone: they hold {_some(state_dict)}, it '
                f'needs {_some(own)} or torchvision\'s features.N.weight; if they are those of a '
                "whole model, add prefix='backbone.' to init_cfg.")


def _check_structure(strides, pool_sizes, out_indices, first_stage, frozen_stages, plugins):
    stages = len(strides)
    if not 1 <= stages <= 5 or len(pool_sizes) != stages or not {*zip(
            pool_sizes, strides, strict=True)} <= {(2, 2), (3, 2), (3, 1), (None, 1)}:
        raise UserError('strides must be 1 or 2 for each of up to 5 stages, and pool_sizes 2 or 3 '
                        'for a stride of 2, 3 or None for a stride of 1, got '
                        f'{strides} and {pool_sizes}.')
    if not 1 <= first_stage <= stages:
        raise UserError(f'first_stage must be between 1 and {stages}, got {first_stage}.')
    if not out_indices or not set(out_indices) <= set(range(-stages, stages)):
        raise UserError(f'out_indices must be stages from 0 to {stages - 1}, got {out_indices}.')
    if not 0 <= frozen_stages <= stages:
        raise UserError(f'frozen_stages must be between 0 and {stages}, got {frozen_stages}.')
    for plugin in plugins:
        name, known = plugin['cfg']['type'], set(range(1, stages + 1))
        if not set(plugin['stages']) <= known:
            raise UserError(f'the stages of the plugin {name} must be from 1 to {stages}, got '
                            f'{plugin["stages"]}.')
        if plugin.get('position', 'after_pool') not in POSITIONS:
            raise UserError(f'the position of the plugin {name} must be one of '
                            f'{", ".join(POSITIONS)}, got {plugin["position"]!r}.')


def _from_torchvision(state_dict, prefix, features, skipped):
    """Map torchvision's keys to ours; convolutions and norms are in the same order in both."""
    pattern = re.compile(re.escape(prefix) + r'features\.(\d+)\.(weight|bias|running_\w+|num_\w+)')
    found = {}
    for key in state_dict:
        match = pattern.fullmatch(key)
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = key
    names = [f'{prefix}features.{i}.{part}' for i, module in features.named_children()
             if isinstance(module, ConvModule)
             for part in (['conv', module.norm_name] if module.with_norm else ['conv'])]
    pairs = zip((found[i] for i in sorted(found)[skipped:]), names, strict=False)
    return {key: f'{name}.{parameter}' for parameters, name in pairs
            for parameter, key in parameters.items()}


def _some(keys):
    keys = sorted(keys)
    return ', '.join(keys[:3]) + (', ...' if len(keys) > 3 else '')
