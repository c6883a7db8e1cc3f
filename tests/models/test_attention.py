import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cicam_mm.models import non_local as attention
from cicam_mm.models.non_local import attend

# Channels of queries and of values, queries, keys: the last block of queries is not a full one.
D, C, N, M = 3, 5, 11, 7

TINY = torch.finfo(torch.float32).tiny
aten = torch.ops.aten


def naive(query, key, value):
    scores = torch.einsum('bnd,bmd->bnm', query, key)
    weights = scores.exp() / scores.exp().sum(2, keepdim=True)
    return torch.einsum('bnm,bmc->bnc', weights, value)


def inputs(batch=2, d=D, c=C, n=N, m=M, **options):
    shapes = (batch, n, d), (batch, m, d), (batch, m, c)
    return [torch.randn(shape, requires_grad=True, **options) for shape in shapes]


def close(actual, expected, tolerance=1e-5):
    """The largest difference against the largest value."""
    return (actual - expected).abs().max() <= tolerance * expected.abs().max()


class _Results(TorchDispatchMode):
    """Looks at results: elements of the largest, denormal numbers among weights and products."""

    largest = denormal = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **kwargs or {})
        if isinstance(out, torch.Tensor):
            self.largest = max(self.largest, out.numel())
            if function.overloadpacket in (aten.exp_, aten._softmax, aten.mul_, aten.bmm):
                self.denormal += ((out != 0) & (out.abs() < TINY)).sum().item()
        return out


class _Saved:
    """What autograd keeps for the backward pass."""

    def __enter__(self):
        self._storages = {}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._keep, lambda x: x)
        self._hooks.__enter__()
        return self

    def __exit__(self, *args):
        self._hooks.__exit__(*args)

    def _keep(self, x):
        self._storages[x.untyped_storage().data_ptr()] = x.untyped_storage()
        return x

    def sizes(self):
        return [storage.nbytes() // 4 for storage in self._storages.values()]


@pytest.fixture(params=['plain', 'blocked'])
def path(request, monkeypatch):
    """Sends all sizes one way; the blocked one then takes four queries at a time."""
    blocked = request.param == 'blocked'
    monkeypatch.setattr(attention, 'WEIGHTS_AT_ONCE', 0 if blocked else 2**30)
    monkeypatch.setattr(attention, 'MIN_QUERIES', 4)


@pytest.mark.usefixtures('on_device')
def test_two_positions_by_hand(path):
    # Scores (0, log 3) for the first query, (0, 0) for the second: weights 1/4, 3/4 and 1/2, 1/2.
    query, value = torch.tensor([[[1.], [0.]]]), torch.tensor([[[4.], [8.]]])
    key = torch.tensor([[[1.], [3.]]]).log()
    torch.testing.assert_close(attend(query, key, value), torch.tensor([[[7.], [6.]]]))


def test_sharp_softmax(path):
    """Scores a hundred apart, where exp is denormal; whole numbers, so exact in float32."""
    query, key, value = inputs()
    query, key = ((x * 5).detach().round().requires_grad_() for x in (query, key))
    args, grad = (query, key, value), torch.randn(2, N, C)
    exact = [x.double() for x in args]
    expected = torch.softmax(exact[0] @ exact[1].mT, 2) @ exact[2]
    with _Results() as results:
        out = attend(*args)
        grads = torch.autograd.grad(out, args, grad)
    assert close(out, expected)
    for actual, reference in zip(grads, torch.autograd.grad(expected, args, grad.double()),
                                 strict=True):
        assert close(actual, reference)
    assert results.denormal == 0


@pytest.mark.usefixtures('on_device')
def test_strided_inputs_and_gradients(path):
    query, key, value = (x.detach().mT.contiguous().mT.requires_grad_() for x in inputs())
    assert not value.is_contiguous()
    out, expected = attend(query, key, value), naive(query, key, value)
    torch.testing.assert_close(out, expected)
    # The gradient of a sum is an expanded scalar.
    actual = torch.autograd.grad(out.sum(), (query, key, value))
    exact = torch.autograd.grad(expected.sum(), (query, key, value))
    torch.testing.assert_close(actual, exact)


@pytest.mark.parametrize('kind', [torch.bfloat16, torch.float16])
def test_half_types_are_computed_in_float32(kind, path):
    args = inputs(dtype=kind)
    with torch.autocast('cpu', dtype=kind):
        out = attend(*args)
    grads = torch.autograd.grad(out.sum(), args)
    exact = [x.detach().float().requires_grad_() for x in args]
    expected = naive(*exact)
    assert out.dtype == kind
    assert torch.equal(out, attend(*exact).to(kind))
    assert all(grad.dtype == kind for grad in grads)
    for actual, grad in zip(grads, torch.autograd.grad(expected.sum(), exact), strict=True):
        torch.testing.assert_close(actual.float(), grad, rtol=1e-2, atol=1e-3)


def test_memory_is_linear_in_the_positions(monkeypatch):
    monkeypatch.setattr(attention, 'WEIGHTS_AT_ONCE', 0)
    monkeypatch.setattr(attention, 'MIN_QUERIES', 32)

    def sizes(positions):
        args = inputs(batch=1, n=positions, m=positions)
        with _Saved() as saved, _Results() as results:
            attend(*args).sum().backward()
        return torch.tensor([sum(saved.sizes()), results.largest])

    assert torch.equal(sizes(128), 2 * sizes(64))


def test_few_weights_are_kept_and_many_are_not(monkeypatch):
    args = inputs(batch=2, n=6, m=4)
    for at_once, kept in ((48, True), (47, False)):
        monkeypatch.setattr(attention, 'WEIGHTS_AT_ONCE', at_once)
        with _Saved() as saved:
            attend(*args)
        assert (48 in saved.sizes()) == kept


def test_path_of_other_devices():
    args = inputs()
    torch.testing.assert_close(attention._fused(*args), naive(*args))
    # The meta device stands in for a GPU: shapes only.
    assert attend(*inputs(device='meta')).shape == (2, N, C)
