"""Reading the two files of a released checkpoint without running anything they contain."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from cicam_mm.checksums import find_damage
from cicam_mm.errors import UserError
from cicam_mm.plain_pickle import NotPlain, load_plain_pickle

# torch's own message includes advice to turn the protection off
DAMAGED = 'it is damaged, or holds more than tensors'


def read_release_net(path: str) -> dict[str, Tensor]:
    """Read ``net_train_*.pth``, a state dict.

    Args:
        path (str): The file.

    Returns:
        dict[str, Tensor]: Its tensors, on the CPU.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is damaged, or holds anything but a dict of tensors.
    """
    net = _read(path, partial(torch.load, map_location='cpu', weights_only=True))
    if not isinstance(net, dict) or not all(isinstance(value, Tensor) for value in net.values()):
        raise _refused(path, 'it holds something other than a dict of tensors')
    return net


def read_release_pool(path: str) -> Tensor:
    """Read ``mask_train_*.pth``, the context pool as a pickled tensor.

    Args:
        path (str): The file.

    Returns:
        Tensor: The pool, shape (n, h, w), float32, on the CPU wherever it was saved.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is damaged, or its pickle asks for anything but the parts of a tensor.
    """
    pool = _read(path, load_plain_pickle)
    if not isinstance(pool, Tensor) or pool.ndim != 3:
        found = f'shape {tuple(pool.shape)}' if isinstance(pool, Tensor) else type(pool).__name__
        raise _refused(path, f'it holds {found} instead of a tensor (n, h, w)')
    return pool.detach().float()


def _read(path: str, load: Callable):
    if damage := find_damage(path):
        raise _refused(path, damage)
    with open(path, 'rb') as file:
        try:
            return load(file)
        except Exception as error:  # a damaged pickle can raise anything
            reason = str(error) if isinstance(error, NotPlain) else DAMAGED
            raise _refused(path, reason) from None


def _refused(path, reason):
    return UserError(f'{path} is refused and nothing in it was run: {reason}; get the original '
                     'file from a source you trust.')
