import io
import os
import pickle
from collections import OrderedDict

import pytest
import torch

from cicam_mm.checkpoints.release import read_release_net, read_release_pool
from cicam_mm.utils.errors import UserError

pytestmark = pytest.mark.filterwarnings('ignore:Detected pickle protocol')


class Call:
    """Pickled, it makes the reader call a function."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.fixture
def payload(tmp_path):
    """A call that leaves a file; the test fails if anything has made it."""
    trace = tmp_path / 'trace'
    yield Call(os.mkdir, str(trace))
    assert not trace.exists()


def as_tensor(storage):
    """A pickle of a tensor (2, 2, 2) whose storage is given by its bytes."""
    storage = Call(torch.storage._load_from_bytes, storage)
    return pickle.dumps(Call(
        torch._utils._rebuild_tensor_v2, storage, 0, (2, 2, 2), (4, 2, 1), False, OrderedDict()))


def saved(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def legacy(value):
    return saved(value, _use_new_zipfile_serialization=False)


@pytest.fixture
def write(tmp_path):

    def write(content):
        path = tmp_path / 'mask.pth'
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_reads_a_pickled_tensor(write, protocol):
    pool = torch.randn(3, 14, 14, requires_grad=True)
    read = read_release_pool(write(pickle.dumps(pool, protocol)))
    assert torch.equal(read, pool) and not read.requires_grad


def test_tensors_of_a_gpu_load_on_the_cpu(write):
    storage = pickle.loads(pickle.dumps(torch.arange(8.))).untyped_storage()
    content = legacy(torch.storage.TypedStorage(
        wrap_storage=storage, dtype=torch.float32, _internal=True))
    device, gpu = b'X\x03\0\0\0cpu', b'X\x06\0\0\0cuda:0'
    assert content.count(device) == 1
    pool = read_release_pool(write(as_tensor(content.replace(device, gpu))))
    assert torch.equal(pool, torch.arange(8.).view(2, 2, 2)) and pool.device.type == 'cpu'


def test_a_hostile_pool_is_refused(write, payload):
    with pytest.raises(ValueError, match=rf'mask.pth is refused .*: it asks for {os.name}.mkdir'):
        read_release_pool(write(pickle.dumps(payload)))


@pytest.mark.parametrize('pack', [pickle.dumps, saved, legacy])
def test_a_hostile_storage_is_refused(write, payload, pack):
    with pytest.raises(ValueError, match='refused and nothing in it was run'):
        read_release_pool(write(as_tensor(pack(payload))))


def test_a_pool_cannot_change_what_reads_it(write):
    """A pickle may set attributes of the objects it is given, functions too."""
    before = torch._utils._rebuild_tensor_v2.__defaults__
    # the function; None and {'__defaults__': (1, )} as its state; BUILD
    change = b'ctorch._utils\n_rebuild_tensor_v2\nN}V__defaults__\n(I1\nts\x86b.'
    with pytest.raises(ValueError, match='refused'):
        read_release_pool(write(change))
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before


@pytest.mark.parametrize('content, reason', [
    (b'', 'it is damaged'),
    (b'no pickle', 'it is damaged'),
    (pickle.dumps(torch.zeros(2, 3, 3))[:200], 'it is damaged'),
    (pickle.dumps({}), 'it holds dict instead of a tensor'),
    (pickle.dumps(torch.zeros(2, 3)), r'it holds shape \(2, 3\) instead of a tensor \(n, h, w\)'),
])
def test_what_is_no_pool_is_refused(write, content, reason):
    with pytest.raises(ValueError, match=reason):
        read_release_pool(write(content))


@pytest.mark.parametrize('pack', [saved, legacy])
def test_reads_a_state_dict(write, pack):
    net = read_release_net(write(pack(OrderedDict(a=torch.ones(2)))))
    assert list(net) == ['a'] and torch.equal(net['a'], torch.ones(2))


@pytest.mark.parametrize('pack', [pickle.dumps, saved, legacy])
def test_a_hostile_net_is_refused(write, payload, pack):
    with pytest.raises(ValueError, match='refused and nothing in it was run'):
        read_release_net(write(pack(dict(a=payload))))


@pytest.mark.parametrize('content, reason', [
    (b'', 'it is damaged'),
    (saved(torch.ones(2)), 'it holds something other than a dict of tensors'),
    (saved(dict(state_dict=dict())), 'it holds something other than a dict of tensors'),
])
def test_what_is_no_state_dict_is_refused(write, content, reason):
    with pytest.raises(ValueError, match=reason):
        read_release_net(write(content))


def test_a_flipped_bit_is_seen(write):
    weight = torch.arange(1000.)
    content = bytearray(saved(dict(a=weight)))
    content[content.index(weight.numpy().tobytes()) + 401] ^= 1
    with pytest.raises(UserError, match='is refused .*: its part .*/data/0 is damaged'):
        read_release_net(write(bytes(content)))


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / 'mask.pth')
    for read in (read_release_net, read_release_pool):
        with pytest.raises(UserError, match='mask.pth is not a regular file'):
            read(tmp_path / 'mask.pth')
