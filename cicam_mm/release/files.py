"""Reading the two files of a released checkpoint without running anything they contain."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

# torch's own message would go on with advice to switch the protection off
DAMAGED = 'it is damaged, or holds more than tensors'


def read_release_net(path: str) -> dict[str, Tensor]:
    """Read ``net_train_*.pth``, a state dict.

    Args:
        path (str): The file.

    Returns:
        dict[str, Tensor]: Its tensors, on the CPU.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is damaged, or holds anything but tensors by name.
    """
    net = _read(path, partial(torch.load, map_location='cpu', weights_only=True))
    if not isinstance(net, dict) or not all(isinstance(value, Tensor) for value in net.values()):
        raise _refused(path, 'it holds something else than tensors by name')
    return net


def read_release_pool(path: str) -> Tensor:
    """Read ``mask_train_*.pth``, the context pool as a pickled tensor.

    Args:
        path (str): The file.

    Returns:
        Tensor: The pool, shape (n, h, w), float32, on the CPU wherever it was saved.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is damaged, or its pickle asks for anything that tensors do not consist
            of.
    """
    pool = _read(path, lambda file: _TensorUnpickler(file).load())
    if not isinstance(pool, Tensor) or pool.ndim != 3:
        found = f'shape {tuple(pool.shape)}' if isinstance(pool, Tensor) else type(pool).__name__
        raise _refused(path, f'it holds {found} instead of a tensor (n, h, w)')
    return pool.detach().float()


class _NotATensor(pickle.UnpicklingError):
    pass


class _TensorUnpickler(pickle.Unpickler):
    """Admits the parts that ``pickle.dump`` makes of a tensor."""

    def find_class(self, module, name):
        if (module, name) not in ADMITTED:
            raise _NotATensor(f'it asks for {module}.{name}')
        # A new object each time: a pickle can also set attributes of what it is given.
        return partial(ADMITTED[module, name])


def _load_storage(content: bytes):
    """What torch's own function does while trusting the content."""
    return torch.load(io.BytesIO(content), map_location='cpu', weights_only=True)


def _encode(text: str, encoding: str):
    """How the pickle protocols 0 to 2 write bytes."""
    return text.encode('latin1')


ADMITTED = {
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch.storage', '_load_from_bytes'): _load_storage,
    ('collections', 'OrderedDict'): OrderedDict,
    ('_codecs', 'encode'): _encode,
}


def _read(path: str, load: Callable):
    with open(path, 'rb') as file:
        try:
            return load(file)
        except Exception as error:  # a damaged pickle raises almost any
            reason = str(error) if isinstance(error, _NotATensor) else DAMAGED
            raise _refused(path, reason) from None


def _refused(path, reason):
    return ValueError(f'{path} is refused and nothing in it was run: {reason}; get the file as '
                      'it was released, from a source you trust.')
