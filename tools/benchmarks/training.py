"""The training step and its memory, against the plain classifier and the naive formulas."""

import multiprocessing
import resource
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mmpretrain.structures import DataSample

from cicam_mm.engine.feature_cache_hook import FeatureStore
from cicam_mm.models.backbones.memory_format import order_images

from . import naive_cicam
from .models import PLAIN, SIDE, cicam, plain_classifier
from .timing import Row, alternate, compare


class Step:
    """Training step on a batch of noise: forward, pool, backward and Adam. Call it to run a step.

    Args:
        build (Callable): Number of classes -> model.
        num_classes (int): Number of classes.
        batch (int): Number of images.
        order (torch.memory_format): Memory format of weights and images. Defaults to preserving
            theirs.
        naive (bool): Whether to use the formulas as printed in the paper. Defaults to False.
        device (str): 'cpu' or 'cuda'. Defaults to 'cpu'.
        narrow (torch.dtype, optional): Type for mixed precision. Defaults to None, float32 only.
        compiled (bool): Whether to compile the backbone. Defaults to False.
    """

    def __init__(self,
                 build: Callable[[int], torch.nn.Module],
                 num_classes: int,
                 batch: int,
                 order: torch.memory_format = torch.preserve_format,
                 naive: bool = False,
                 device: str = 'cpu',
                 narrow: torch.dtype | None = None,
                 compiled: bool = False):
        torch.manual_seed(0)
        self.model = build(num_classes).train().to(device, memory_format=order)
        if compiled:
            self.model.backbone.compile()
        self.naive = naive
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-6)
        self.images = torch.randn(batch, 3, SIDE, SIDE).to(device, memory_format=order)
        self.labels = torch.randint(num_classes, (batch, )).to(device)
        self.scaler = torch.amp.GradScaler(device, enabled=narrow == torch.float16)
        self.precision = torch.autocast(device, dtype=narrow, enabled=narrow is not None)

    def __call__(self):
        with self.precision:
            loss = self._naive_loss() if self.naive else self._loss()
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

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
    'naive CI-CAM': partial(Step, partial(cicam, memory_format='as_is'), 200, naive=True),
}
ORDERS = {
    f'CI-CAM, {name.replace("_", " ")}': partial(Step, partial(cicam, memory_format=name), 200)
    for name in ('channels_last', 'as_is')}
ON_GPU = {
    'CI-CAM, channels last': partial(Step, cicam, 200, order=torch.channels_last),
    'CI-CAM, compiled': partial(Step, cicam, 200, compiled=True),
    **{f'{name}, {kind} AMP, channels last': partial(
        Step, build, 200, order=torch.channels_last, narrow=narrow)
       for kind, narrow in (('bf16', torch.bfloat16), ('fp16', torch.float16))
       for name, build in ((PLAIN, plain_classifier), ('CI-CAM', cicam))},
}


def measure_time(batch: int, rounds: int, device: str) -> list[Row]:
    variants = VARIANTS | (ORDERS if device == 'cpu' else ON_GPU)
    steps = {name: start(batch, device=device) for name, start in variants.items()}
    return compare(f'training step, batch {batch}', alternate(steps, rounds, device=device))


def measure_cache(batch: int, rounds: int) -> list[Row]:
    """Steps of a whole VGG16 and of its last parts, with and without frozen stages on disk."""
    with TemporaryDirectory() as folder:
        steps = {
            f'{name}{", cached" * cached}': CachedStep(frozen, batch, cached and Path(folder))
            for name, frozen in FROZEN.items() for cached in (False, True)[:1 + (frozen > 0)]}
        return compare(f'training step in bfloat16, batch {batch}', alternate(steps, rounds))


FROZEN = {'whole VGG16': 0, 'last stage': 4, 'classifier': 5}


class CachedStep(Step):
    """A step behind frozen stages, whose output it reads from a folder if there is one."""

    def __init__(self, frozen: int, batch: int, folder: Path | None):
        build = partial(cicam, frozen_stages=frozen, non_local_stages=())
        super().__init__(build, 200, batch, narrow=torch.bfloat16)
        self.store = None
        if folder:
            backbone = self.model.backbone
            with torch.no_grad(), self.precision:
                features = backbone.frozen_part().eval()(
                    order_images(self.images, backbone.memory_format))
            self.store = FeatureStore(folder / str(frozen), batch, features.shape[1:],
                                      torch.bfloat16)
            self.store.write([*range(batch)], features)
            backbone.skip_frozen_part()

    def __call__(self):
        if self.store:
            self.images = torch.stack(
                [self.store.values[i].clone() for i in range(len(self.images))]).float()
        super().__call__()


def measure_memory(batch: int, device: str) -> list[Row]:
    """Peak memory of a process that runs three steps; on a GPU, that of its tensors."""
    with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as processes:
        peaks = {name: processes.apply(_peak, (name, batch, device)) for name in VARIANTS}
    return [Row(f'peak memory of training, batch {batch}', name, peak / peaks[PLAIN], peak, 'GB')
            for name, peak in peaks.items()]


def _peak(name, batch, device):
    step = VARIANTS[name](batch, device=device)
    for _ in range(3):
        step()
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def count_waits(batch: int) -> list[Row]:
    """How often the host waits for the GPU in forward pass, pool and backward pass.

    torch's own debug mode counts; the optimizer is left out, because it is torch's.
    """
    step = VARIANTS['CI-CAM'](batch, device='cuda')
    step()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        torch.cuda.set_sync_debug_mode('warn')
        try:
            step._loss().backward()
        finally:
            torch.cuda.set_sync_debug_mode('default')
    waits = sum('synchroniz' in str(warning.message) for warning in caught)
    return [Row('host waits for the GPU in a step', 'CI-CAM', 1., waits, 'waits')]
