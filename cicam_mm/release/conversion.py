"""Converting the release's state dict for an ``ImageClassifier`` with a ``DualCAMHead``."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cicam_mm.errors import UserError
from cicam_mm.models.backbones.inception import LEFT_OUT, InceptionV3Features

# Positions of VGG16's 13 convolutions: in the release's flat sequence, and in ``NonLocalVGG``.
CONVOLUTIONS = {
    0: 0, 2: 1,
    5: 3, 7: 4,
    11: 6, 13: 7, 15: 8,
    19: 10, 21: 11, 23: 12,
    27: 14, 29: 15, 31: 16,
}  # yapf: disable
# Positions of the non-local blocks in the sequence, and the stages they follow.
NON_LOCAL = {10: 2, 18: 3, 26: 4, 33: 5}
NON_LOCAL_PARTS = {
    'query_conv': 'query',
    'key_conv': 'key',
    'value_conv': 'value',
    'mix_conv': 'mix',
    'bn': 'norm',
}


@dataclass(frozen=True)
class Network:
    """One of the networks of the release.

    Attributes:
        name: Its name.
        map_size: Height and width of its maps in the release's configuration.
        unused: Key prefixes of modules that are saved but not used.
    """
    name: str
    map_size: int
    unused: tuple[str, ...] = ('regressor.', 'mask_bn.')


VGG16 = Network('VGG16', 14)
INCEPTION_V3 = Network('InceptionV3', 17, (
    *VGG16.unused, *(f'backbone.{name}.' for name in LEFT_OUT)))


def convert_release(net: Mapping[str, Tensor],
                    pool: Tensor | None = None) -> tuple[dict[str, Tensor], list[str]]:
    """Convert a released checkpoint of CI-CAM, on VGG16 or on InceptionV3.

    Args:
        net (Mapping[str, Tensor]): State dict of the release, with or without the prefix of
            ``DataParallel``.
        pool (Tensor, optional): Context pool, shape (n, h, w). Defaults to None, an empty one of
            14 x 14 for VGG16 (inputs of 224 px) or 17 x 17 for InceptionV3 (299 px).

    Returns:
        tuple[dict[str, Tensor], list[str]]: The state dict with the pool, and the modules left
        out because the release does not use them.

    Raises:
        ValueError: If keys are missing or unknown, the classifiers of the branches differ, or the
            parts have different numbers of classes.
    """
    net = {key.removeprefix('module.'): value for key, value in net.items()}
    network = INCEPTION_V3 if any('.Mixed_' in key for key in net) else VGG16
    names = key_names(network)
    used = {key for key in net if not key.startswith(network.unused)}
    unused = sorted({module.rstrip('.') for module in network.unused for key in net.keys() - used
                     if key.startswith(module)})
    second = {f'down_classifier.0.{part}': net.get(f'up_classifier.0.{part}')
              for part in ('weight', 'bias')}
    _check_keys(used, names.keys() | second.keys(), network.name)
    for key, first in second.items():
        if not torch.equal(net[key], first):
            raise UserError(f'{key} differs from up_classifier: in the release both branches '
                            'share one classifier, so this is another model.')

    state = {new: net[old] for old, new in names.items()}
    num_classes = len(state['head.fc.weight'])
    size = network.map_size
    state['head.pool.pool'] = torch.zeros(num_classes, size, size) if pool is None else pool
    _check_num_classes(state, num_classes)
    return state, unused


def key_names(network: Network) -> dict[str, str]:
    """Map the names in the release to those of this project."""
    names = {f'{old}.{part}': f'{new}.{part}'
             for old, new in (('up_classifier.0', 'head.fc'),
                              ('mask2attention', 'head.pool.projection'))
             for part in ('weight', 'bias')}
    return names | (_vgg16_names() if network is VGG16 else _inception_names())


def _vgg16_names():
    names = {f'backbone.conv.{old}': f'backbone.features.{new}.conv'
             for old, new in CONVOLUTIONS.items()}
    names |= {f'backbone.conv.{position}.{old}': f'backbone.non_local.{stage}.{new}'
              for position, stage in NON_LOCAL.items() for old, new in NON_LOCAL_PARTS.items()}
    statistics = ('running_mean', 'running_var', 'num_batches_tracked')
    return {f'{old}.{part}': f'{new}.{part}'
            for old, new in names.items()
            for part in ('weight', 'bias', *(statistics if new.endswith('norm') else ()))}


def _inception_names():
    with torch.device('meta'):
        keys = InceptionV3Features().state_dict()
    return {f'backbone.{key}': f'backbone.{key}' for key in keys}


def _check_keys(found: Collection[str], wanted: Collection[str], network: str):
    problems = [f'{what} {", ".join(sorted(keys))}'
                for what, keys in (('missing are', set(wanted) - set(found)),
                                   ('unknown are', set(found) - set(wanted))) if keys]
    if problems:
        raise UserError(f'the file does not hold the released CI-CAM on {network}: '
                        f'{"; ".join(problems)}.')


def _check_num_classes(state, num_classes):
    counts = dict(
        mask2attention=state['head.pool.projection.weight'].shape[1],
        **{'the context pool': len(state['head.pool.pool'])})
    for part, count in counts.items():
        if count != num_classes:
            raise UserError(f'the classifier has {num_classes} classes but {part} has {count}; '
                            'use both files of the same checkpoint.')
