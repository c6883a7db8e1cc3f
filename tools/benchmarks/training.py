"""The training step and its memory, against the bare backbone and the naive formulas."""

import multiprocessing
import resource

import naive_cicam
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from .timing import Row, alternate, compare

SIDE = 224
BARE = 'VGG16, linear classifier'


def build(num_classes: int, bare: bool = False):
    """CI-CAM as in cicam_vgg16_cub.py, or its convolutions with one linear layer."""
    head = dict(type='CAMHead') if bare else dict(type='DualCAMHead')
    model = MODELS.build(dict(
        type='ImageClassifier',
        backbone=dict(type='NonLocalVGG', **(dict(non_local_stages=()) if bare else {})),
        head=dict(head, num_classes=num_classes, in_channels=512)))
    if not bare:
        model.head.pool.has_updater = True
        for block in model.backbone.non_local.values():
            torch.nn.init.normal_(block.norm.weight, std=0.1)
    return model.train()


class Step:
    """Forward, pool, backward and Adam for one batch of noise; calling it takes the step."""

    def __init__(self, num_classes: int, batch: int, bare: bool = False, naive: bool = False):
        torch.manual_seed(0)
        self.model = build(num_classes, bare)
        self.naive = naive
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-6)
        self.images = torch.randn(batch, 3, SIDE, SIDE)
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
    BARE: dict(num_classes=200, bare=True),
    'CI-CAM': dict(num_classes=200),
    'CI-CAM, 1,000 classes': dict(num_classes=1000),
    'naive CI-CAM': dict(num_classes=200, naive=True),
}


def measure_time(batch: int, rounds: int) -> list[Row]:
    steps = {name: Step(batch=batch, **options) for name, options in VARIANTS.items()}
    return compare(f'training step, batch {batch}', alternate(steps, rounds))


def measure_memory(batch: int) -> list[Row]:
    """Peak memory of a process that takes three steps, libraries included."""
    with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as processes:
        peaks = {name: processes.apply(_peak, (batch, options))
                 for name, options in VARIANTS.items()}
    return [Row(f'peak memory of training, batch {batch}', name, peak / peaks[BARE], peak, 'GB')
            for name, peak in peaks.items()]


def _peak(batch, options):
    step = Step(batch=batch, **options)
    for _ in range(3):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
