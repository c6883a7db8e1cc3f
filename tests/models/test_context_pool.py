import pytest
import torch
from mmpretrain.registry import MODELS

from cicam_mm.models import CausalContextPool
from cicam_mm.models.context_pool import accumulate, standardize
from cicam_mm.utils.settings import check_takers

pytestmark = pytest.mark.usefixtures('on_device')


def make_pool(**options):
    options = dict(num_classes=3, channels=2, size=(1, 2), update_rate=1.) | options
    pool = MODELS.build(dict(type='CausalContextPool', **options))
    pool.has_updater = True
    return pool


def record(pool, maps, classes, labels):
    pool.record(torch.tensor(maps), torch.tensor(classes), torch.tensor(labels))


def test_standardize_by_hand():
    # mean 2, biased variance 1
    torch.testing.assert_close(
        standardize(torch.tensor([[[1., 3]]])), torch.tensor([[[-1., 1]]]), atol=1e-5, rtol=0)
    assert standardize(torch.full((2, 3, 3), 7.)).eq(0).all()


def test_first_update_has_std_0953():
    """As measured of the release: lambda = 0.01, one map, pool at zero."""
    pool = accumulate(torch.zeros(1, 14, 14), torch.randn(1, 14, 14), 0.01)
    assert pool.std(correction=0).item() == pytest.approx(0.953, abs=1e-3)


def test_update_by_hand():
    # S_0 = (1, 3) + (3, 9) = (4, 12), standardized (-1, 1); Q_0 = 0 + 1 * (-1, 1), again (-1, 1)
    pool = make_pool()
    record(pool, [[[1., 3]], [[3., 9]]], [0, 0], [0, 0])
    pool.update(*pool.take_pending())
    torch.testing.assert_close(
        pool.pool, torch.tensor([[[-1., 1]], [[0, 0]], [[0, 0]]]), atol=1e-4, rtol=0)


def test_sum_comes_before_the_normalization():
    pool = make_pool(size=(1, 3))
    record(pool, [[[0., 0, 9]], [[1., 0, 0]]], [0, 0], [0, 0])
    pool.update(*pool.take_pending())
    torch.testing.assert_close(pool.pool[0], accumulate(
        torch.zeros(1, 3), torch.tensor([[1., 0, 9]]), 1.))


@pytest.mark.parametrize('counted, fed', [('correct', [True, False, False]),
                                          ('all', [True, True, False])])
def test_which_images_count(counted, fed):
    pool = make_pool(counted=counted)
    record(pool, [[[0., 1]], [[0., 1]]], [0, 1], [0, 2])  # the second image is misclassified
    pool.update(*pool.take_pending())
    assert pool.pool.flatten(1).any(dim=1).tolist() == fed


@pytest.mark.parametrize('renormalized, expected', [
    ('all', [-1, 1]),  # a row that is not fed is standardized all the same
    ('touched', [0, 4]),
])
def test_which_rows_are_renormalized(renormalized, expected):
    pool = make_pool(renormalized=renormalized)
    pool.pool[1] = torch.tensor([[0., 4]])
    record(pool, [[[0., 1]]], [0], [0])
    pool.update(*pool.take_pending())
    torch.testing.assert_close(
        pool.pool[1, 0], torch.tensor(expected).float(), atol=1e-4, rtol=0)
    assert pool.pool[0].any() and not pool.pool[2].any()


def test_enhance_by_hand():
    # W[:, 1] = (2, -1), b = (0, 1), Q_1 = (1, 3): attention (2, 6) and (0, -2), and
    # X + X * attention = (1, 1) * (3, 7) and (10, 10) * (1, -1)
    pool = make_pool()
    pool.pool[1] = torch.tensor([[1., 3]])
    pool.projection.weight.data[:, 1, 0, 0] = torch.tensor([2., -1])
    pool.projection.bias.data[:] = torch.tensor([0., 1])
    enhanced = pool.enhance(torch.tensor([[[[1., 1]], [[10, 10]]]]), torch.tensor([1]))
    assert enhanced.tolist() == [[[[3, 7]], [[10, -10]]]]


def test_non_finite_maps_are_left_out_and_counted():
    pool = make_pool(counted='all')
    record(pool, [[[0., float('nan')]], [[float('inf'), 1.]], [[0., 1]]], [0, 1, 2], [0, 1, 2])
    pool.update(*pool.take_pending())
    assert pool.pool.flatten(1).any(dim=1).tolist() == [False, False, True]
    assert pool.pool.isfinite().all() and pool.num_non_finite == 2


def test_pending_is_taken_once_in_order():
    pool = make_pool(counted='all')
    record(pool, [[[0., 1]]], [1], [0])
    record(pool, [[[2., 3]], [[4., 5]]], [2, 0], [0, 0])
    classes, maps = pool.take_pending()
    assert classes.tolist() == [1, 2, 0] and maps[:, 0, 0].tolist() == [0, 2, 4]
    classes, maps = pool.take_pending()
    assert classes.shape == (0, ) and maps.shape == (0, 1, 2)
    before = pool.pool.clone()
    pool.update(classes, maps)
    assert pool.pool.equal(before)


def test_record_without_a_hook_is_an_error():
    pool = make_pool()
    pool.has_updater = False
    with pytest.raises(RuntimeError, match=r"add custom_hooks=\[dict\(type='ContextPoolHook'\)\]"):
        record(pool, [[[0., 1]]], [0], [0])
    pool.frozen = True
    record(pool, [[[0., 1]]], [0], [0])
    assert len(pool.take_pending()[0]) == 0


def test_size_that_does_not_fit_names_both_and_the_option():
    pool = make_pool(size=(14, 14))
    with pytest.raises(ValueError, match=r'feature map is \(7, 9\) .* of \(14, 14\).*resize=True'):
        pool.enhance(torch.zeros(1, 2, 7, 9), torch.tensor([0]))


def test_resize():
    pool = make_pool(size=(1, 2), resize=True, counted='all')
    record(pool, [[[0., 0, 4, 4]]], [1], [1])
    assert pool.take_pending()[1].tolist() == [[[0, 4]]]
    pool.pool[1] = torch.tensor([[0., 4]])
    pool.projection.weight.data.fill_(1)
    pool.projection.bias.data.zero_()
    enhanced = pool.enhance(torch.ones(1, 2, 1, 4), torch.tensor([1]))
    assert enhanced[0, 0, 0].tolist() == [1, 2, 4, 5]


def test_checkpoints_carry_the_pool_and_nothing_of_the_step():
    assert set(make_pool().state_dict()) == {'pool', 'projection.weight', 'projection.bias'}


def test_runs_with_and_without_a_pool_start_from_the_same_weights():
    """Creating a pool leaves the random stream alone, though it draws its own weights."""
    states = []
    for pool, seed in (None, 0), (dict(size=(4, 4)), 0), (dict(size=(4, 4)), 1):
        torch.manual_seed(seed)
        head = MODELS.build(dict(type='DualCAMHead', num_classes=3, in_channels=2, pool=pool))
        head.init_weights()
        states.append(head.state_dict() | dict(next_draw=torch.rand(1)))
    without, with_pool, other_seed = states
    assert all(with_pool[name].equal(value) for name, value in without.items())
    name, = {name for name in with_pool if name.endswith('projection.weight')}
    assert not with_pool[name].equal(other_seed[name])


@pytest.mark.parametrize('update_rate', [0, -.1, 1.1, float('nan')])
def test_update_rate_out_of_range(update_rate):
    with pytest.raises(ValueError, match=r'update_rate must be in \(0, 1\]'):
        CausalContextPool(num_classes=3, channels=4, update_rate=update_rate)


def test_unknown_choices():
    with pytest.raises(ValueError, match="unknown update 'befor'; known are 'after', 'before'"):
        CausalContextPool(3, 4, update='befor')
    for name, option in ('CausalContextPool', 'update'), ('KGStudent', 'kl'), ('KGTeacher', 'aux'):
        with pytest.raises(ValueError, match=f"model.{option} is 'some', but .* takes Literal"):
            check_takers(dict(model={'type': name, option: 'some'}))
