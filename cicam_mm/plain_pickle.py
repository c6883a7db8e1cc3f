"""Reading pickled containers, arrays and tensors without running anything."""
import io
import pickle
from collections import OrderedDict
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy._core import multiarray, numeric


def load_plain_pickle(file: BinaryIO, **options) -> Any:
    """Unpickle plain values, containers of them, NumPy arrays and torch tensors.

    Args:
        file (BinaryIO): The pickle.
        **options: Arguments of ``pickle.Unpickler``, such as ``encoding``.

    Returns:
        Any: The object; tensors are on the CPU, wherever they were saved.

    Raises:
        NotPlain: If the pickle asks for anything else; the message names it.
    """
    return _PlainUnpickler(file, **options).load()


class NotPlain(pickle.UnpicklingError):
    """A pickle asks for something other than plain values."""


class _PlainUnpickler(pickle.Unpickler):

    def find_class(self, module, name):
        if (module, name) not in _ALLOWED:
            raise NotPlain(f'it asks for {module}.{name}')
        # a new object each time, because a pickle can set attributes of what it gets
        return partial(_ALLOWED[module, name])


def _load_storage(content: bytes):
    """Load a storage as torch's own function does, but without running code in it."""
    return torch.load(io.BytesIO(content), map_location='cpu', weights_only=True)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as written by the pickle protocols 0 to 2."""
    return text.encode('latin1')


def _no_bytes() -> bytes:
    """Empty bytes as written by these protocols."""
    return b''


def _reconstruct(subtype, shape: tuple, dtype: bytes) -> np.ndarray:
    """An empty array, never of a subclass; the pickle then sets its content."""
    return multiarray._reconstruct(np.ndarray, (0, ), b'b')


def _dtype(name: str, align: bool = False, copy: bool = False) -> np.dtype:
    """A dtype of numbers or texts; others could make an array treat its bytes as objects."""
    dtype = np.dtype(name, align, copy)
    if dtype.kind not in 'biufcSUMm' or dtype.fields:
        raise NotPlain(f'it asks for an array of {name!r}')
    return dtype


_ALLOWED = {
    ('builtins', 'set'): set,
    ('__builtin__', 'set'): set,
    ('collections', 'OrderedDict'): OrderedDict,
    ('_codecs', 'encode'): _encode,
    ('__builtin__', 'bytes'): _no_bytes,
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch.storage', '_load_from_bytes'): _load_storage,
    ('numpy', 'ndarray'): object,  # only passed to _reconstruct
    ('numpy', 'dtype'): _dtype,
    **{(f'numpy.{core}.{module}', name): function
       for core in ('core', '_core')
       for module, name, function in (
           ('multiarray', '_reconstruct', _reconstruct),
           ('multiarray', 'scalar', multiarray.scalar),
           ('numeric', '_frombuffer', numeric._frombuffer))},
}
