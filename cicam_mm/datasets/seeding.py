import random

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SeedPerSample(BaseTransform):
    """Makes the augmentation of a sample a function of run, epoch and sample.

    As the first step of a training pipeline, it seeds ``random``, NumPy and PyTorch with (seed,
    epoch, ``sample_idx``). So a resumed run sees the same images as an uninterrupted one, with any
    number of workers. A sample that a data set returns twice in an epoch, as ``RepeatDataset``
    does, gets the same augmentation.

    :class:`EpochSeedHook` sets seed and epoch; until then this transform does nothing.
    """

    def __init__(self):
        # in shared memory, so that persistent workers see the next epoch; -1 means not set
        self._clock = torch.tensor([0, -1]).share_memory_()

    def set_epoch(self, seed: int, epoch: int) -> None:
        self._clock.share_memory_()  # a copy of this transform is not shared yet
        self._clock.copy_(torch.tensor([seed, epoch]))

    @property
    def clock(self) -> tuple[int, int]:
        """Seed and epoch; (0, -1) before they are set."""
        return tuple(self._clock.tolist())

    def transform(self, results: dict) -> dict:
        seed, epoch = self.clock
        if epoch >= 0:
            seed_everything(seed, epoch, results['sample_idx'])
        return results


def seed_everything(*key: int, device: str = 'cpu') -> None:
    """Seeds ``random``, NumPy and PyTorch, except on 'cpu' also its generators of devices."""
    seeds = np.random.SeedSequence(key).generate_state(3).tolist()
    random.seed(seeds[0])
    np.random.seed(seeds[1])
    if device == 'cpu':  # torch.manual_seed takes ten times as long: it formats a traceback, too
        torch.default_generator.manual_seed(seeds[2])
    else:
        torch.manual_seed(seeds[2])
