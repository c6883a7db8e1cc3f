"""The training step and its memory, against the plain classifier and the naive formulas."""

import multiprocessing
import resource
from collections.abc import Callable
from functools import partial

import naive_cicam
import torch
from mmpretrain.structures import DataSample

from .models import PLAIN, SIDE, cicam, plain_classifier
from .timing import Row, alternate, compare


class Step:
    """Forward, pool, backward and Adam for one batch of noise; calling it takes the step."""

    def __init__(self,
                 build: Callable[[int], torch.nn.Module],
                 num_classes: int,
                 batch: int,
                 order: torch.memory_format = torch.preserve_format,
                 naive: bool = False):
        torch.manual_seed(0)
        self.model = build(num_classes).train().to(memory_format=order)
        self.naive = naive
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-6)
        self.images = torch.randn(batch, 3, SIDE, SIDE).to(memory_format=order)
        self.labels = torch.randint(num_classes, (batch, ))

    def __call__(self):
        loss = self._naive_loss() if self.naive else self._loss()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def _loss(self):
        head, samples = self.model.head, [DataSample().set_gt_label(y) for y in self.labels]
        loss = sum(self.model.loss(self.images, samples).values())
        if hasattr(head, 'pool'):
            head.pool.update(*head.pool.take_pending())
        return loss

    def _naive_loss(self):
        pool = self.model.head.pool
        *losses, maps, classes = naive_cicam.losses(self.model, self.images, self.labels)
        pool.pool.copy_(naive_cicam.updated_pool(
            pool.pool, maps, classes, self.labels, pool.update_rate))
        return sum(losses)


VARIANTS = {
    PLAIN: partial(Step, plain_classifier, 200),
    f'{PLAIN}, channels last': partial(Step, plain_classifier, 200, order=torch.channels_last),
    'CI-CAM': partial(Step, cicam, 200),
    'CI-CAM, 1,000 classes': partial(Step, cicam, 1000),
    'naive CI-CAM': partial(Step, cicam, 200, naive=True),
}


def measure_time(batch: int, rounds: int) -> list[Row]:
    steps = {name: start(batch) for name, start in VARIANTS.items()}
    return compare(f'training step, batch {batch}', alternate(steps, rounds))


def measure_memory(batch: int) -> list[Row]:
    """Peak memory of a process that takes three steps, libraries included."""
    with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as processes:
        peaks = {name: processes.apply(_peak, (name, batch)) for name in VARIANTS}
    return [Row(f'peak memory of training, batch {batch}', name, peak / peaks[PLAIN], peak, 'GB')
            for name, peak in peaks.items()]


def _peak(name, batch):
    step = VARIANTS[name](batch)
    for _ in range(3):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
