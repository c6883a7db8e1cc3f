"""Configs, pickles and files of the 2021 release that are read as data."""
import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from yapf.yapflib.yapf_api import FormatCode

from cicam_mm.checkpoints.plain import NotPlain, load_plain_pickle, read_plain_config
from cicam_mm.checkpoints.release import read_release_net, read_release_pool

pytestmark = pytest.mark.filterwarnings('ignore:Detected pickle protocol')
DEMO = Path(__file__).parents[2] / 'configs' / 'cicam_tiny_shapes.py'
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def test_plain_values():
    text = """
a = 1  # comment
b = [-2.5e-3, (True, None), 'x' 'y', ()]
c = dict(d={'e.f': 1, 2: dict()}, g=dict({'h i': 3}, j=4))
a = 2
"""
    assert read_plain_config(text) == dict(
        a=2, b=[-.0025, (True, None), 'xy', ()],
        c={'d': {'e.f': 1, 2: {}}, 'g': {'h i': 3, 'j': 4}})


def test_a_config_is_read_as_mmengine_writes_it(monkeypatch):
    monkeypatch.setattr('mmengine.config.config.FormatCode', FormatCode)
    cfg = Config.fromfile(DEMO)
    assert read_plain_config(cfg.pretty_text) == cfg.to_dict()


@pytest.mark.parametrize('text', [
    'a = print(1)', 'a = b', 'a = [b for b in ()]', 'a = 1 + 1', "a = 'x' * 10**9", 'a = f"{1}"',
    'a = {**{}}', 'a = dict(**{})', 'a = dict([])', 'a = dict({}, {})', 'a = {[]: 2}',
    'a = b = 1', 'a.b = 1', 'a[0] = 1', 'a: int = 1', 'a += 1', 'import a', 'del a', 'print(1)',
    "'text'", 'pass', 'a = lambda: 1', 'a = (b := 1)', 'a = -(1, )', 'with a: b = 1'])
def test_anything_else_is_code(text):
    with pytest.raises(ValueError, match='^line 2 holds code instead of a plain value .* not run'):
        read_plain_config(f'x = 1\n{text}')


@pytest.mark.parametrize('text, says', [
    ('a = 1\n  b = 2', 'line 2 is not a setting'),
    ('a = ' + '[' * 300 + ']' * 300, 'too many nested'),
    ('a = ' + '-' * 50_000 + '1', 'nested too deeply'),
    ('a = 1\0', 'null'), ('#' * 2**20 + '\n', 'has 1048577 characters, more than 1048576')])
def test_texts_that_are_not_configs(text, says):
    with pytest.raises(ValueError, match=says):
        read_plain_config(text)


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_plain_values_arrays_and_tensors(protocol):
    value = dict(a=[1, 2.5, None, True, 'text', b'bytes', (1, {2, 3})], b=OrderedDict(c=-1))
    arrays = [np.arange(6.).reshape(2, 3).T, np.array(['a', 'bc']), np.float32(2.5), np.int64(-3),
              np.array('2026-01-01', 'M8[D]'), np.zeros((0, 4), bool)]
    tensor = torch.arange(4.)[1:]
    read = load_plain_pickle(io.BytesIO(pickle.dumps((value, arrays, tensor), protocol)))
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
        load_plain_pickle(io.BytesIO(content))
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize('dtype', ['O', 'V8', [('a', 'O')]])
def test_arrays_that_are_not_of_numbers_are_refused(dtype):
    """Of a crafted type, they would take their bytes for addresses of objects."""
    with pytest.raises(NotPlain, match='it asks for an array of|numpy'):
        load_plain_pickle(io.BytesIO(pickle.dumps(np.zeros(1, dtype), 2)))


def test_a_pickle_cannot_change_what_reads_it():
    """It may set attributes of the objects it is given, functions too."""
    before = torch._utils._rebuild_tensor_v2.__defaults__
    # the function; None and {'__defaults__': (1, )} as its state; BUILD
    change = b'ctorch._utils\n_rebuild_tensor_v2\nN}V__defaults__\n(I1\nts\x86b.'
    with pytest.raises(TypeError):  # of the stand-in, which has no such state
        load_plain_pickle(io.BytesIO(change))
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before


def saved(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def legacy(value):
    return saved(value, _use_new_zipfile_serialization=False)


def pickled_tensor(storage):
    """A tensor (2, 2, 2) whose storage is given by its bytes."""
    storage = Call(torch.storage._load_from_bytes, storage)
    return pickle.dumps(Call(
        torch._utils._rebuild_tensor_v2, storage, 0, (2, 2, 2), (4, 2, 1), False, OrderedDict()))


@pytest.fixture
def write(tmp_path):

    def write(content):
        path = tmp_path / 'mask.pth'
        path.write_bytes(content)
        return path

    return write


def test_files_of_the_release(write):
    pool = torch.randn(3, 14, 14, requires_grad=True)
    read = read_release_pool(write(pickle.dumps(pool)))
    assert torch.equal(read, pool) and not read.requires_grad
    for pack in saved, legacy:
        net = read_release_net(write(pack(OrderedDict(a=torch.ones(2)))))
        assert list(net) == ['a'] and torch.equal(net['a'], torch.ones(2))

    storage = pickle.loads(pickle.dumps(torch.arange(8.))).untyped_storage()
    content = legacy(torch.storage.TypedStorage(
        wrap_storage=storage, dtype=torch.float32, _internal=True))
    on_gpu = content.replace(b'X\x03\0\0\0cpu', b'X\x06\0\0\0cuda:0')
    assert on_gpu != content
    pool = read_release_pool(write(pickled_tensor(on_gpu)))
    assert torch.equal(pool, torch.arange(8.).view(2, 2, 2)) and pool.device.type == 'cpu'


@pytest.mark.parametrize('pack', [pickle.dumps, saved, legacy])
def test_hostile_files_of_the_release(write, tmp_path, pack):
    hostile = Call(os.mkdir, str(tmp_path / 'executed'))
    for read, content in ((read_release_net, pack(dict(a=hostile))),
                          (read_release_pool, pickle.dumps(hostile)),
                          (read_release_pool, pickled_tensor(pack(hostile)))):
        with pytest.raises(ValueError, match='mask.pth is refused'):
            read(write(content))
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize('read, content, reason', [
    (read_release_pool, b'no pickle', 'it is damaged'),
    (read_release_pool, pickle.dumps(torch.zeros(2, 3, 3))[:200], 'it is damaged'),
    (read_release_pool, pickle.dumps({}), r'holds no context pool'),
    (read_release_pool, pickle.dumps(torch.zeros(2, 3)), r'holds no context pool'),
    (read_release_net, b'', 'truncated, damaged, or not a checkpoint'),
    (read_release_net, saved(torch.ones(2)), 'holds no weights'),
])
def test_other_files(write, tmp_path, read, content, reason):
    with pytest.raises(ValueError, match=f'mask.pth .*{reason}'):
        read(write(content))
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(ValueError, match='pipe is not a regular file'):
        read(tmp_path / 'pipe')
