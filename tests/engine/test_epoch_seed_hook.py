from types import SimpleNamespace

import numpy as np
import torch
from mmengine.dataset import BaseDataset, RepeatDataset
from torch.utils.data import ConcatDataset, DataLoader

from cicam_mm.datasets import SeedPerSample
from cicam_mm.engine.epoch_seed_hook import EpochSeedHook


class Draws(BaseDataset):
    """Samples that are a random number each: the 'augmentation'."""

    def __init__(self, size=10, seeded=True):
        self.size = size
        pipeline = [lambda info: dict(inputs=torch.rand(1) + np.random.rand(), **info)]
        super().__init__(pipeline=[SeedPerSample(), *pipeline] if seeded else pipeline)

    def load_data_list(self):
        return [dict() for _ in range(self.size)]


def collate(batch):
    return torch.stack([sample['inputs'] for sample in batch]).squeeze(1)


def epochs(hook_epochs, num_workers, seed=3, dataset=None):
    """The draws of some epochs from one loader, as a runner with the hook would load them."""
    loader = DataLoader(dataset or Draws(), batch_size=5, num_workers=num_workers,
                        persistent_workers=num_workers > 0, collate_fn=collate)
    runner = SimpleNamespace(train_dataloader=loader, train_loop=None, seed=seed)
    hook = EpochSeedHook()
    hook.before_train(runner)
    result = []
    for epoch in hook_epochs:
        runner.epoch, runner.iter = epoch, 2 * epoch
        hook.before_train_epoch(runner)
        result.append(torch.cat(list(loader)))
    return torch.stack(result)


def test_a_draw_follows_from_seed_epoch_and_sample():
    alone = epochs([0, 1, 2], num_workers=0)
    assert len(alone.unique()) == 30
    assert torch.equal(epochs([0, 1, 2], 1), alone) and torch.equal(epochs([1, 2], 2), alone[1:])
    assert not torch.equal(epochs([0, 1, 2], 0, seed=4), alone)
    copied = Draws().get_subset(list(range(10)))
    assert torch.equal(epochs([0, 1, 2], 2, dataset=copied), alone)


def test_seeders_inside_wrappers():
    parts = [Draws(), Draws()]
    wrapped = ConcatDataset([RepeatDataset(parts[0], times=2), parts[1]])
    hook = EpochSeedHook()
    hook.before_train(SimpleNamespace(
        train_dataloader=SimpleNamespace(dataset=wrapped), train_loop=None))
    assert hook._seeders == [part.pipeline.transforms[0] for part in parts]


def test_generators_of_the_process_follow_from_the_iteration():
    hook, draws = EpochSeedHook(), []
    for iteration in (0, 1, 0):
        hook.before_train_iter(SimpleNamespace(seed=3, iter=iteration), batch_idx=0)
        draws.append((torch.rand(()).item(), np.random.rand()))
        torch.rand(5)
    assert draws[0] == draws[2] != draws[1]


def test_missing_transform_is_reported(monkeypatch):
    lines = []
    monkeypatch.setattr('cicam_mm.engine.epoch_seed_hook.print_log',
                        lambda message, **kwargs: lines.append(message))
    epochs([0], 0, dataset=Draws(seeded=False))
    assert len(lines) == 1 and 'no SeedPerSample' in lines[0]
