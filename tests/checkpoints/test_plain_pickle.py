import io
import os
import pickle
import pickletools
from collections import OrderedDict

import numpy as np
import pytest
import torch

from cicam_mm.checkpoints.plain import NotPlain, load_plain_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Call:
    """Pickled as a call of a function, whose result is then given a state."""

    def __init__(self, function, *args, state=None):
        self.reduced = function, args, state

    def __reduce__(self):
        return self.reduced


def load(content):
    return load_plain_pickle(io.BytesIO(content))


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_plain_values_arrays_and_tensors(protocol):
    value = dict(a=[1, 2.5, None, True, 'text', b'bytes', (1, {2, 3})], b=OrderedDict(c=-1))
    arrays = [np.arange(6.).reshape(2, 3).T, np.array(['a', 'bc']), np.float32(2.5), np.int64(-3),
              np.array('2026-01-01', 'M8[D]'), np.zeros((0, 4), bool)]
    tensor = torch.arange(4.)[1:]
    read = load(pickle.dumps((value, arrays, tensor), protocol))
    assert read[0] == value
    for found, expected in zip(read[1], arrays, strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype and type(found) is type(expected)
    assert torch.equal(read[2], tensor)


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize('function', [os.mkdir, eval, getattr, np.load, torch.load])
def test_calls_are_refused(tmp_path, protocol, function):
    content = pickle.dumps(Call(function, str(tmp_path / 'executed')), protocol)
    with pytest.raises(NotPlain, match=f'it asks for .*{function.__name__}'):
        load(content)
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize('dtype', ['O', 'V8', [('a', 'O')]])
def test_arrays_that_are_not_of_numbers_are_refused(dtype):
    """Of a crafted type, they would take their bytes for addresses of objects."""
    with pytest.raises(NotPlain, match='it asks for an array of|numpy'):
        load(pickle.dumps(np.zeros(1, dtype), 2))


@pytest.mark.parametrize('function', [torch._utils._rebuild_tensor_v2, np.dtype, set])
def test_what_reads_it_cannot_be_changed(function):
    content = pickle.dumps([function, 0], 2)
    # a state for the function: {'x': 1}, BUILD
    content = content.replace(b'K\0e.', b'}X\x01\0\0\0xK\x01sbe.')
    assert b'b' in [op.code.encode() for op, *_ in pickletools.genops(content)]
    before = [getattr(function, 'x', None), {**vars(function)}]
    with pytest.raises(TypeError):  # of the stand-in, which has no such state
        load(content)
    assert [getattr(function, 'x', None), {**vars(function)}] == before
