"""Checkpoints of CI-CAM's 2021 release: read as data, and converted."""
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from mmpretrain.models.backbones import InceptionV3
from torch import Tensor

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import check_regular

from .loading import has_checksums, load_checkpoint, load_local, load_pickle
from .weights import Misfits, state_dict_of

#: Layers of InceptionV3 after Mixed_6e, which CI-CAM does not use.
LEFT_OUT = ('Mixed_7a', 'Mixed_7b', 'Mixed_7c', 'AuxLogits', 'avgpool', 'dropout', 'fc')


def read_release_net(path: str) -> dict[str, Tensor]:
    """Read ``net_train_*.pth``, a state dict; a UserError if it holds anything else."""
    return state_dict_of(load_local(path, 'cpu'), path)


def read_release_pool(path: str) -> Tensor:
    """Read ``mask_train_*.pth``, the context pool (n, h, w) as a pickled tensor; float32, CPU."""
    check_regular(path)
    with open(path, 'rb') as file:
        return _pool(load_pickle(file), path)


def _pool(value, path):
    if not isinstance(value, Tensor) or value.ndim != 3:
        raise UserError(f'{path} holds no context pool, a tensor of the shape (n, h, w).')
    return value.detach().float()


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

NON_LOCAL_PARTS = dict(
    query_conv='query', key_conv='key', value_conv='value', mix_conv='mix', bn='norm')


class Network(NamedTuple):
    """One of the networks of the release."""
    name: str
    map_size: int  # height and width of its maps, with the release's images
    unused: tuple[str, ...] = ('regressor.', 'mask_bn.')  # prefixes of what is saved only


VGG16 = Network('VGG16', 14)

INCEPTION_V3 = Network('InceptionV3', 17, (
    *VGG16.unused, *(f'backbone.{name}.' for name in LEFT_OUT)))


def convert_release(net: Mapping[str, Tensor],
                    pool: Tensor | None = None) -> tuple[dict[str, Tensor], list[str]]:
    """Convert a released checkpoint of CI-CAM, on VGG16 or on InceptionV3.

    Args:
        net (Mapping[str, Tensor]): State dict of the release, with or without the prefix of
            ``DataParallel``.
        pool (Tensor, optional): Context pool, shape (n, h, w). Defaults to None, an empty one.

    Returns:
        tuple[dict[str, Tensor], list[str]]: The state dict with the pool, and the modules that
        are left out because the release does not use them.

    Raises:
        UserError: If this is not a whole checkpoint of one of the networks.
    """
    net = {key.removeprefix('module.'): value for key, value in net.items()}
    network = INCEPTION_V3 if any('.Mixed_' in key for key in net) else VGG16
    names = key_names(network)
    used = {key for key in net if not key.startswith(network.unused)}
    unused = sorted({module.rstrip('.') for module in network.unused for key in net.keys() - used
                     if key.startswith(module)})
    second = {f'down_classifier.0.{part}': net.get(f'up_classifier.0.{part}')
              for part in ('weight', 'bias')}
    wanted = names.keys() | second.keys()
    misfits = Misfits(sorted(wanted - used), sorted(used - wanted), [])
    if any(misfits):
        raise UserError(f'the file does not hold the released CI-CAM on {network.name}: '
                        f'{misfits}.')
    for key, first in second.items():
        if not torch.equal(net[key], first):
            raise UserError(f'{key} differs from up_classifier: in the release both branches '
                            'share one classifier, so this is another model.')

    state = {new: net[old] for old, new in names.items()}
    num_classes = len(state['head.fc.weight'])
    size = network.map_size
    state['head.pool.pool'] = torch.zeros(num_classes, size, size) if pool is None else pool
    for part, count in (('mask2attention', state['head.pool.projection.weight'].shape[1]),
                        ('the context pool', len(state['head.pool.pool']))):
        if count != num_classes:
            raise UserError(f'the classifier has {num_classes} classes but {part} has {count}; '
                            'use both files of the same checkpoint.')
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
        keys = InceptionV3().state_dict()
    return {f'backbone.{key}': f'backbone.{key}' for key in keys
            if key.split('.')[0] not in LEFT_OUT}


def read_pools(path: str | Path) -> dict[str, Tensor]:
    """The context pools in a checkpoint of this project, or in a pool file of the 2021 release.

    They have the shape (n, h, w), float32, by their names, which is '' for a file of the release.
    """
    if not has_checksums(path):
        return {'': read_release_pool(path)}
    state = state_dict_of(load_checkpoint(path), str(path))
    return {name: _pool(value, path) for name, value in state.items()
            if name.split('.')[-1] == 'pool'}
