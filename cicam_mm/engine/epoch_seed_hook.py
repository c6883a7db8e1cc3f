import logging

from mmengine.device import get_device
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop
from mmpretrain.registry import HOOKS

from cicam_mm.datasets.seeding import SeedPerSample, seed_everything
from cicam_mm.datasets.wrappers import pipelines


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Makes a resumed run reproduce the uninterrupted one bit for bit.

    In each epoch it passes seed and epoch to every :class:`SeedPerSample` of the training
    pipeline, so augmentation is a function of (seed, epoch, sample). In each iteration it seeds
    the random generators of this process with (seed, iteration, rank), so dropout and the like
    are reproducible, too. The seed is that of the run. Set it with ``randomness =
    dict(seed=...)``, because it also determines the order of the samples, and MMEngine otherwise
    draws a new one when a run is resumed.

    An ``IterBasedTrainLoop`` has no epochs and loads data ahead of its hooks: there
    ``SeedPerSample`` has no effect. A resumed run still reproduces the uninterrupted one with the
    same number of workers, at least one, because MMEngine replays the data of past iterations.
    """

    def before_train(self, runner) -> None:
        self._seeders = []
        if not isinstance(runner.train_loop, IterBasedTrainLoop):
            self._seeders = [
                step for steps in pipelines(runner.train_dataloader.dataset)
                for step in steps if isinstance(step, SeedPerSample)]
            if not self._seeders:
                print_log(
                    'EpochSeedHook found no SeedPerSample in the training pipeline, so random '
                    'augmentation depends on the workers and changes when a run is resumed; put '
                    "dict(type='SeedPerSample') first.", logger='current', level=logging.WARNING)

    def before_train_epoch(self, runner) -> None:
        for seeder in self._seeders:
            seeder.set_epoch(runner.seed, runner.epoch)
        seed_everything(runner.seed, runner.iter, get_rank(), device=get_device())

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        seed_everything(runner.seed, runner.iter, get_rank(), device=get_device())
