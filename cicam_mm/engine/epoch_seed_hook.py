import logging
from collections.abc import Iterator

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop
from mmpretrain.registry import HOOKS
from torch.utils.data import Dataset

from cicam_mm.datasets.transforms import SeedPerSample, seed_everything


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Makes a resumed run repeat the undisturbed one, bit for bit.

    Each epoch it tells seed and epoch to every :class:`SeedPerSample` of the training pipeline,
    so that augmentation follows from (seed, epoch, sample); each iteration it seeds the random
    generators of this process from (seed, iteration, rank), so that dropout and the like do so
    too. The seed is the run's: give it as ``randomness = dict(seed=...)``, since the order of the
    samples also comes from it and MMEngine draws a new one for a resumed run otherwise.

    An ``IterBasedTrainLoop`` has no epochs and loads ahead of its hooks: there ``SeedPerSample``
    stays without effect, and a resumed run repeats the other one because MMEngine plays back the
    data of the past iterations, given the same number of workers, at least one.
    """

    def before_train(self, runner) -> None:
        self._seeders = []
        if not isinstance(runner.train_loop, IterBasedTrainLoop):
            self._seeders = list(find_seeders(runner.train_dataloader.dataset))
            if not self._seeders:
                print_log(
                    'EpochSeedHook found no SeedPerSample in the training pipeline: random '
                    'augmentation depends on the workers and differs in a resumed run; place '
                    "dict(type='SeedPerSample') first.", logger='current', level=logging.WARNING)

    def before_train_epoch(self, runner) -> None:
        for seeder in self._seeders:
            seeder.set_epoch(runner.seed, runner.epoch)
        seed_everything(runner.seed, runner.iter, get_rank())

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        seed_everything(runner.seed, runner.iter, get_rank())


def find_seeders(dataset: Dataset) -> Iterator[SeedPerSample]:
    """Yield the SeedPerSample transforms of a data set, also inside wrappers of data sets."""
    pipeline = getattr(dataset, 'pipeline', None)
    yield from (t for t in getattr(pipeline, 'transforms', ()) if isinstance(t, SeedPerSample))
    inner = [dataset.dataset] if hasattr(dataset, 'dataset') else getattr(dataset, 'datasets', ())
    for part in inner:
        yield from find_seeders(part)
