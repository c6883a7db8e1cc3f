"""k ranks train the pool of one rank with the k-fold batch: real processes, gloo.

The batch norm of the non-local blocks keeps the statistics it starts with (``norm_eval``); how it
learns those of all ranks is in ``test_total_batch.py``.
"""
import os
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmpretrain.structures import DataSample
from torch import nn

from cicam_mm.engine.context_pool_hook import ContextPoolHook
from cicam_mm.models import DualCAMHead, NonLocalVGG
from cicam_mm.models.context_pool import gather_contributions

STEPS, BATCH, CLASSES = 20, 6, 4
pytestmark = pytest.mark.filterwarnings('ignore:TF32')  # of torch.backends.mkldnn.flags


class Network(nn.Module):

    def __init__(self, update='after'):
        super().__init__()
        self.backbone = NonLocalVGG(
            depth=11, strides=(2, 2), base_channels=4, non_local_stages=(1, 2), norm_eval=True)
        for block in self.backbone.non_local.values():
            nn.init.constant_(block.norm.weight, .5)
        self.head = DualCAMHead(
            CLASSES, 8, pool=dict(size=(4, 4), counted='all', update_rate=.1, update=update))
        nn.init.normal_(self.head.fc.weight, std=1.)

    def forward(self, images, samples):
        return sum(self.head.loss(self.backbone(images), samples).values())


def train(runs):
    """The pool after each step on this rank's share of each batch, for each run.

    In float32 without oneDNN, whose convolutions round an image differently in a batch of another
    size.
    """
    if 'RANK' in os.environ:
        dist.init_process_group('gloo')
    pools = []
    for run in runs:
        with torch.backends.mkldnn.flags(enabled=run.get('autocast', False)):
            pools.append(list_pools(**run))
    return pools


def list_pools(accumulate=1, autocast=False, update='after'):
    rank, world_size = 0, 1
    torch.manual_seed(0)
    model = network = Network(update).train()
    if dist.is_initialized():
        rank, world_size = dist.get_rank(), dist.get_world_size()
        model = MMDistributedDataParallel(network, find_unused_parameters=False)
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=.01), accumulate)
    runner = SimpleNamespace(model=model, iter=0, optim_wrapper=optim_wrapper)
    hook = ContextPoolHook(interval=10**9, check_interval=1)
    hook.before_train(runner)
    data = torch.Generator().manual_seed(1)
    pools = []
    for _ in range(STEPS):
        images = torch.randn(BATCH, 3, 16, 16, generator=data)[rank::world_size]
        labels = torch.randint(CLASSES, (BATCH, ), generator=data)[rank::world_size]
        for part in range(accumulate):
            samples = [DataSample().set_gt_label(label) for label in labels[part::accumulate]]
            with optim_wrapper.optim_context(model), torch.autocast('cpu', enabled=autocast):
                loss = model(images[part::accumulate], samples)
            optim_wrapper.update_params(loss)
            hook.after_train_iter(runner, 0)
        pools.append(network.head.pool.pool.clone())
    return torch.stack(pools)


@pytest.fixture(scope='module')
def alone():
    """Pools of one rank, updated after the step and before branch 2."""
    after, before = train([{}, dict(update='before')])
    assert after[-1].flatten(1).any(dim=1).sum() > 1
    # the first step has the same maps, later ones other weights
    assert (before[0] - after[0]).abs().max() < 1e-6
    assert (before[-1] - after[-1]).abs().max() > 1e-4
    return after, before


def check(pools, expected):
    assert all(pool.equal(pools[0]) for pool in pools)  # bitwise, at every step
    assert (pools[0] - expected).abs().max() < 1e-6 * expected.abs().max()


def test_pool_of_two_ranks_is_that_of_one(run_ranks, alone):
    plain, accumulated, mixed = zip(
        *run_ranks(train, 2, [{}, dict(accumulate=3), dict(autocast=True)]), strict=True)
    check(plain, alone[0])
    check(accumulated, alone[0])
    # mixed precision keeps the pool in float32
    assert mixed[0].dtype == torch.float32 and mixed[0].equal(mixed[1])
    change = (mixed[0] - alone[0]).norm() / alone[0].norm()
    assert 1e-5 < change < .2


def test_pool_of_three_ranks_is_that_of_one(run_ranks, alone):
    """Updated before branch 2, its branch 2 sees the maps of the whole batch."""
    for pools, expected in zip(
            zip(*run_ranks(train, 3, [{}, dict(update='before')]), strict=True), alone,
            strict=True):
        check(pools, expected)


def exchange(maps_of_ranks):
    """Rank r brings its number of maps of class r, rank 1 also one that does not count."""
    dist.init_process_group('gloo')
    rank = dist.get_rank()
    classes = torch.tensor([rank] * maps_of_ranks[rank] + [CLASSES] * (rank == 1)).long()
    maps = (1. + rank) * torch.ones(len(classes), 2, 2)
    classes, maps = gather_contributions(classes, maps)
    sums = torch.zeros(CLASSES + 1, 2, 2).index_put((classes, ), maps, accumulate=True)
    nothing, _ = gather_contributions(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2, 2))
    return sums[:CLASSES, 0, 0].tolist(), sorted(classes.tolist()), len(nothing)


def test_ranks_may_bring_any_number_and_nothing(run_ranks):
    for sums, classes, nothing in run_ranks(exchange, 3, [0, 1, 2]):
        assert sums == [0, 2, 6, 0] and classes == [1, 2, 2, CLASSES] and nothing == 0


def differ():
    """The pool of rank 1 is not that of the others."""
    dist.init_process_group('gloo')
    runner = SimpleNamespace(model=Network(), iter=7)
    if dist.get_rank() == 1:
        runner.model.head.pool.pool[0, 0, 0] = 1e-30
    with pytest.raises(RuntimeError) as error:
        ContextPoolHook().before_train(runner)
    return str(error.value)


def test_differing_pools_end_the_training(run_ranks):
    for message in run_ranks(differ, 3):
        assert message.startswith('after 7 iterations the context pool of rank 1 differs from')
