import gc
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.dataset import BaseDataset, RepeatDataset
from mmengine.model import BaseModel
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
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


class Noisy(BaseModel):
    """Adds what it sees, times noise of its own, to its only weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, inputs, mode):
        return dict(loss=self.weight * (inputs * torch.rand_like(inputs)).sum())


def train(work_dir, loop, num_workers=0, resume=False):
    by_epoch = loop is EpochBasedTrainLoop
    steps = dict(max_epochs=4) if by_epoch else dict(max_iters=8)  # of 2 and 8 batches
    runner = Runner(
        Noisy(), str(work_dir), train_dataloader=dict(
            batch_size=5, num_workers=num_workers, dataset=Draws(10 if by_epoch else 40),
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type=collate_dict)),
        train_cfg=dict(by_epoch=by_epoch, **steps),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.)),
        default_hooks=dict(checkpoint=dict(
            type='CheckpointHook', interval=2 if by_epoch else 4, by_epoch=by_epoch)),
        custom_hooks=[EpochSeedHook()], randomness=dict(seed=1), log_level='ERROR',
        experiment_name=f'{work_dir.name}-{resume}', resume=resume,
        load_from=f"{work_dir}/{'epoch_2' if by_epoch else 'iter_4'}.pth" if resume else None)
    runner.train()
    return runner.model.weight.item()


def collate_dict(batch):
    return dict(inputs=collate(batch))


def test_resumed_run_ends_with_the_same_weights_whatever_the_workers(tmp_path):
    whole = train(tmp_path, EpochBasedTrainLoop)
    assert train(tmp_path, EpochBasedTrainLoop, num_workers=2, resume=True) == whole


def test_resumed_iterations_repeat_with_the_same_workers(tmp_path, monkeypatch):
    # else PyTorch waits five seconds for each worker that has loaded ahead
    monkeypatch.setattr('torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL', 0.1)
    whole = train(tmp_path, IterBasedTrainLoop, num_workers=1)
    assert train(tmp_path, IterBasedTrainLoop, num_workers=1, resume=True) == whole
    gc.collect()


def test_missing_transform_is_reported(monkeypatch):
    lines = []
    monkeypatch.setattr('cicam_mm.engine.epoch_seed_hook.print_log',
                        lambda message, **kwargs: lines.append(message))
    epochs([0], 0, dataset=Draws(seeded=False))
    assert len(lines) == 1 and 'no SeedPerSample' in lines[0]
