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

STEPS, BATCH, CLASSES = 50, 6, 4
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


def train(accumulate=1, autocast=False, update='after'):
    """Fifty steps on this rank's share of each batch; the pool after each step.

    Without oneDNN, whose convolutions round an image differently in a batch of another size.
    """
    with torch.backends.mkldnn.flags(enabled=autocast):
        return list_pools(accumulate, autocast, update)


def list_pools(accumulate, autocast, update):
    rank, world_size = 0, 1
    torch.manual_seed(0)
    model = network = Network(update).train()
    if 'RANK' in os.environ:
        dist.init_process_group('gloo')
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
    pools = train()
    assert pools[-1].flatten(1).any(dim=1).sum() > 1
    return pools


@pytest.mark.parametrize(('world_size', 'accumulate'), [(2, 1), (3, 1), (2, 3)])
def test_pool_is_that_of_one_rank(run_ranks, alone, world_size, accumulate):
    pools = run_ranks(train, world_size, accumulate)
    assert all(pool.equal(pools[0]) for pool in pools)  # bitwise, at every step
    assert (pools[0] - alone).abs().max() < 1e-6 * alone.abs().max()


def test_update_before_branch_2_reads_the_pool(run_ranks, alone):
    """Three ranks train the weights of one, whose branch 2 sees the whole batch's maps."""
    expected = train(update='before')
    pools = run_ranks(train, 3, 1, False, 'before')
    assert all(pool.equal(pools[0]) for pool in pools)
    assert (pools[0] - expected).abs().max() < 1e-6 * expected.abs().max()
    # the first step has the same maps, later ones other weights
    assert (expected[0] - alone[0]).abs().max() < 1e-6
    assert (expected[-1] - alone[-1]).abs().max() > 1e-4


def test_mixed_precision_keeps_the_pool_in_float32(run_ranks, alone):
    pools = run_ranks(train, 2, 1, True)
    assert pools[0].dtype == torch.float32 and pools[0].equal(pools[1])
    change = (pools[0] - alone).norm() / alone.norm()
    assert 1e-5 < change < .2


def gather(maps_of_ranks):
    """Rank r brings its number of maps of class r, and one that does not count."""
    dist.init_process_group('gloo')
    rank = dist.get_rank()
    classes = torch.tensor([rank] * maps_of_ranks[rank] + [CLASSES] * (rank == 1)).long()
    maps = (1. + rank) * torch.ones(len(classes), 2, 2)
    classes, maps = gather_contributions(classes, maps)
    sums = torch.zeros(CLASSES + 1, 2, 2).index_put((classes, ), maps, accumulate=True)
    return sums[:CLASSES, 0, 0].tolist(), sorted(set(classes.tolist()) - {CLASSES}), len(classes)


def test_ranks_may_bring_any_number(run_ranks):
    for sums, touched, rows in run_ranks(gather, 3, [0, 1, 2]):
        assert sums == [0, 2, 6, 0] and touched == [1, 2] and rows == 4


def test_nobody_brings_anything(run_ranks):
    assert run_ranks(gather_nothing, 2) == [0, 0]


def gather_nothing():
    dist.init_process_group('gloo')
    return len(gather_contributions(
        torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2, 2))[0])


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
