from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class TotalBatchHook(Hook):
    """Warns of a training whose total batch is not the one that its learning rate is for.

    The batch size of a config is that of one process, so several of them train with a multiple of
    it and make fewer steps. ``auto_scale_lr.base_batch_size`` tells which total batch the learning
    rate is for; with ``auto_scale_lr.enable`` mmengine scales the rate, and there is no warning.
    """

    def before_train(self, runner) -> None:
        scaling, size = runner.auto_scale_lr or {}, runner.train_dataloader.batch_size
        base = scaling.get('base_batch_size')
        if scaling.get('enable') or not base or not size:
            return
        collected = (runner.cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
        total = runner.world_size * size * collected
        if total != base:
            runner.logger.warning(
                f'A step trains on {total} images in all, but the learning rate of this config is '
                f'for {base}; scale it with --auto-scale-lr (train.py) or --cfg-options '
                'auto_scale_lr.enable=True, or change train_dataloader.batch_size.')
