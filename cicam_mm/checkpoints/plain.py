"""Configs and pickles read as data, without running anything in them."""
import ast
import io
import pickle
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from textwrap import shorten
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy._core import multiarray, numeric

from cicam_mm.utils.errors import UserError

_MAX_CHARACTERS = 2**20  # of a config; the parser takes about 100 times as much memory


def read_plain_config(text: str) -> dict[str, Any]:
    """The settings in the text of a config that holds only plain values.

    mmengine dumps configs in this form: ``name = value`` with literals, ``dict(key=...)`` and
    ``dict({...}, key=...)``. Nothing is evaluated, so ``_base_`` and ``custom_imports`` are
    ordinary settings here.

    Raises:
        ValueError: If the text holds anything else; the message names the line and says that
            nothing was run.
    """
    if len(text) > _MAX_CHARACTERS:
        raise UserError(f'it has {len(text)} characters, more than {_MAX_CHARACTERS}')
    try:
        return dict(map(_setting, ast.parse(text).body))
    except SyntaxError as error:
        raise UserError(
            f'line {error.lineno} is not a setting of a config ({error.msg})') from None
    except (RecursionError, MemoryError):
        raise UserError('its values are nested too deeply') from None


def _setting(statement):
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            with suppress(ValueError, TypeError):  # of what is not a literal
                return name, ast.literal_eval(_DictCalls().visit(value))
    code = shorten(ast.unparse(statement), 60, placeholder='...')
    raise UserError(f'line {statement.lineno} holds code instead of a plain value (`{code}`), '
                    'which was not run')


class _DictCalls(ast.NodeTransformer):
    """Makes dict literals of calls of ``dict``."""

    def visit_Call(self, node):
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id='dict'), args=[] | [ast.Dict()] as given,
                          keywords=named) if all(each.arg for each in named):
                first = given[0] if given else ast.Dict([], [])
                return ast.Dict(first.keys + [ast.Constant(each.arg) for each in named],
                                first.values + [each.value for each in named])
        return node


def load_plain_pickle(file: BinaryIO, **options) -> Any:
    """Unpickle plain values, containers of them, NumPy arrays and torch tensors."""
    return _PlainUnpickler(file, **options).load()


class NotPlain(pickle.UnpicklingError):
    """A pickle asks for something other than plain values."""


class _PlainUnpickler(pickle.Unpickler):

    def find_class(self, module, name):
        if (module, name) not in _ALLOWED:
            raise NotPlain(f'it asks for {module}.{name}')
        # a new object each time, because a pickle can set attributes of what it gets
        return partial(_ALLOWED[module, name])


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
    # bytes as the protocols 0 to 2 write them
    ('_codecs', 'encode'): lambda text, encoding: text.encode('latin1'),
    ('__builtin__', 'bytes'): lambda: b'',
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch.storage', '_load_from_bytes'): lambda content: torch.load(
        io.BytesIO(content), map_location='cpu', weights_only=True),
    ('numpy', 'ndarray'): object,  # only passed to _reconstruct
    ('numpy', 'dtype'): _dtype,
    **{(f'numpy.{core}.{module}', name): function
       for core in ('core', '_core')
       for module, name, function in (
           ('multiarray', '_reconstruct', _reconstruct),
           ('multiarray', 'scalar', multiarray.scalar),
           ('numeric', '_frombuffer', numeric._frombuffer))},
}
