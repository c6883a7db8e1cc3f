import random
import traceback

import numpy as np
import torch

from cicam_mm.datasets import SeedPerSample


def draw(seeder, sample_idx):
    seeder(dict(sample_idx=sample_idx))
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_draws_follow_from_seed_epoch_and_sample(monkeypatch):
    monkeypatch.setattr(traceback, 'format_stack', None)  # torch.manual_seed calls it, slowly
    seeder = SeedPerSample()
    assert draw(seeder, 9) != draw(seeder, 9)  # without an epoch the generators are left alone
    seeder.set_epoch(seed=5, epoch=2)
    first = draw(seeder, 9)
    assert draw(seeder, 10) != first
    assert draw(seeder, 9) == first
    for seed, epoch in ((6, 2), (5, 3), (2, 5)):
        seeder.set_epoch(seed, epoch)
        assert not set(draw(seeder, 9)) & set(first)
