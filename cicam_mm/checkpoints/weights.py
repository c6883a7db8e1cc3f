"""Loading the weights of a checkpoint, with errors where they do not fit the model."""
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import torch
from mmpretrain import get_model
from torch import Tensor, nn

from cicam_mm.utils.errors import UserError

from .loading import load_checkpoint


class Misfits(NamedTuple):
    """Names of the tensors that the checkpoint lacks, the model lacks, or that differ in shape."""
    missing: list[str]
    unexpected: list[str]
    misshapen: list[str]

    def __str__(self) -> str:
        return '; '.join(
            f'{len(names)} {kind} ({", ".join(names[:4])}{", ..." * (len(names) > 4)})'
            for kind, names in self._asdict().items() if names)


def state_dict_of(checkpoint: Mapping, name: str) -> dict[str, Tensor]:
    """The weights in a checkpoint, without the prefix of a wrapped model; all are finite."""
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(state, Mapping) or not all(
            isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()):
        raise UserError(f'the checkpoint {name} holds no weights (a dict of tensors by name).')
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            count = value.numel() - int(value.isfinite().sum())
            raise UserError(f'{count} of {value.numel()} values of {key} in the checkpoint {name} '
                            'are not finite; use an earlier checkpoint.')
    return _like(state, {key.removeprefix('module.'): value for key, value in state.items()})


def load_weights(model: nn.Module, state: Mapping[str, Tensor]) -> Misfits:
    """Load all tensors that fit, and return the misfits."""
    own = model.state_dict()
    other_shape = [key for key, value in state.items()
                   if key in own and own[key].shape != value.shape]
    fitting = _like(state, {k: value for k, value in state.items() if k not in other_shape})
    missing, unexpected = model.load_state_dict(fitting, strict=False)
    return Misfits(
        [key for key in missing if key not in other_shape], list(unexpected),
        [f'{key}: {tuple(state[key].shape)} instead of {tuple(own[key].shape)}'
         for key in other_shape])


def load_all_weights(model: nn.Module, checkpoint: Mapping, name: str) -> None:
    """Load a checkpoint; a UserError that names the tensors which do not fit the model."""
    misfits = load_weights(model, state_dict_of(checkpoint, name))
    if any(misfits):
        raise UserError(f'the checkpoint {name} does not fit the model: {misfits}; use the '
                        'config it was trained with.')


def build_trained(config: str, checkpoint: str) -> nn.Module:
    """The model of a config with the weights of a checkpoint, to be used as it is.

    It keeps the checkpoint's ``meta``, whose classes :class:`ClassNamesHook` compares.
    """
    model, loaded = get_model(config, pretrained=False), load_checkpoint(checkpoint)
    load_all_weights(model, loaded, checkpoint)
    model.checkpoint_meta = loaded.get('meta')
    return model.eval().requires_grad_(False)


def load_weights_to_train_on(model: nn.Module, checkpoint: Mapping, name: str) -> Misfits:
    """Load a checkpoint as the initialization of another training.

    The head may differ, and layers may be new; other tensors in both must have equal shapes.
    """
    state = state_dict_of(checkpoint, name)
    misfits = load_weights(model, state)
    body = Misfits(*([name for name in names if not name.startswith('head.')]
                     for names in misfits))
    if body.misshapen or {key for key in state if not key.startswith('head.')} <= {
            *body.unexpected}:
        raise UserError(f'the checkpoint {name} is of another network: {body}; only the head may '
                        'differ when a training starts from load_from.')
    return misfits


def _like(state, tensors):
    """A state dict that keeps the layer versions, which loading older checkpoints needs."""
    tensors = OrderedDict(tensors)
    tensors._metadata = getattr(state, '_metadata', OrderedDict())
    return tensors


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of a model's parameters and buffers, whichever file they come from."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
