"""k ranks train the pool of one rank with the k-fold batch: real processes, gloo."""
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed
from mmpretrain.structures import DataSample
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cicam_mm.engine.context_pool_hook import ContextPoolHook, gather_contributions
from cicam_mm.models import DualCAMHead, NonLocalVGG

STEPS, BATCH, CLASSES = 50, 6, 4


class Network(nn.Module):
    """Backbone without batch statistics, which would see another batch on every rank."""

    def __init__(self):
        super().__init__()
        self.backbone = NonLocalVGG(
            depth=11, strides=(2, 2), base_channels=4, non_local_stages=())
        self.head = DualCAMHead(
            CLASSES, 8, pool=dict(size=(4, 4), counted='all', update_rate=.1))

    def forward(self, images, samples):
        return sum(self.head.loss(self.backbone(images), samples).values())


def train(world_size=1, rank=0):
    """Fifty steps on this rank's share of each batch; the pool after each step."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = Network()
    model = DistributedDataParallel(network) if world_size > 1 else network
    runner = SimpleNamespace(
        model=model, iter=0, optim_wrapper=SimpleNamespace(should_update=lambda: True))
    hook = ContextPoolHook(interval=10**9)
    hook.before_train(runner)
    optimizer = torch.optim.SGD(model.parameters(), lr=.01)
    data = torch.Generator().manual_seed(1)
    pools = []
    for _ in range(STEPS):
        images = torch.randn(BATCH, 3, 16, 16, generator=data)[rank::world_size]
        labels = torch.randint(CLASSES, (BATCH, ), generator=data)[rank::world_size]
        optimizer.zero_grad()
        model(images, [DataSample().set_gt_label(label) for label in labels]).backward()
        optimizer.step()
        hook.after_train_iter(runner, 0)
        pools.append(network.head.pool.pool.clone())
    return torch.stack(pools)


def gather(world_size, rank):
    """Rank r brings r contributions of class r: none, one, two."""
    classes = torch.full((rank, ), rank)
    return gather_contributions(classes, classes[:, None, None] * torch.ones(1, 2, 2))


def run_ranks(function, world_size, folder):
    """What the function gives on each rank; each is a process that runs this file."""
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone',
                f'--nproc-per-node={world_size}', __file__, function.__name__, folder]
    done = subprocess.run(torchrun, capture_output=True, text=True, timeout=300)
    results = [folder / f'{rank}.pt' for rank in range(world_size)]
    # gloo may abort at exit, so results count, not exit codes
    assert all(path.exists() for path in results), done.stderr
    return [torch.load(path) for path in results]


@pytest.mark.parametrize('world_size', [2, 3])
def test_pool_is_that_of_one_rank(tmp_path, world_size):
    alone = train()
    pools = run_ranks(train, world_size, tmp_path)
    assert all(pool.equal(pools[0]) for pool in pools)  # bitwise, at every step
    assert alone[-1].flatten(1).any(dim=1).all()
    torch.testing.assert_close(pools[0], alone, rtol=0, atol=1e-6)


def test_ranks_may_bring_any_number(tmp_path):
    for classes, maps in run_ranks(gather, 3, tmp_path):
        assert classes.tolist() == [1, 2, 2]
        assert maps[:, 0, 0].tolist() == [1, 2, 2]


if __name__ == '__main__':
    torch.distributed.init_process_group('gloo')
    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    torch.save(globals()[sys.argv[1]](world_size, rank), Path(sys.argv[2]) / f'{rank}.pt')
    torch.distributed.destroy_process_group()
