"""When context pools are updated, logged and compared across ranks."""
import logging
import zlib

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmpretrain.registry import HOOKS

from cicam_mm.models.context_pool import find_pools
from cicam_mm.utils.errors import UserError


@HOOKS.register_module()
class ContextPoolHook(Hook):
    """Updates the causal context pools of a model after every optimizer step (Eq. 7).

    The contributions of a step are gathered from all ranks and summed per class *before* the
    normalization, because it is not linear. Then every rank applies the same update to the same
    numbers, so k ranks train the same pool as one rank with k times the batch. With gradient
    accumulation, a step is an update of the weights. A pool with ``update='before'`` does the
    same by itself in the forward pass; its reports and comparisons are made here.

    Logs ``pool_seen``, the number of classes that have a context, and ``pool_change``, the mean
    distance by which the rows changed in the last step.

    Args:
        interval (int): Iterations between log entries, each of which waits for the device.
        check_interval (int): Iterations between comparisons of the pool across ranks, which are
            also made at the start; the training stops if the pools are not bitwise equal.
    """

    # before an EMAHook (NORMAL) copies the pool and a LoggerHook (BELOW_NORMAL) logs
    priority = 'ABOVE_NORMAL'

    def __init__(self, interval: int = 50, check_interval: int = 1000):
        self.interval = interval
        self.check_interval = check_interval
        self._warned = False

    def before_train(self, runner) -> None:
        pools = find_pools(runner.model)
        if not pools:
            raise UserError('ContextPoolHook found no CausalContextPool in the model; remove the '
                            'hook from custom_hooks, or use a DualCAMHead with a pool.')
        self._pools = [pool for pool in pools if not pool.frozen]
        for pool in self._pools:
            pool.has_updater = True
        self._compare_ranks(runner)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        if self.every_n_train_iters(runner, self.interval):
            self._previous = [pool.pool.clone() for pool in self._pools]

    def after_train_iter(self, runner, batch_idx: int, data_batch=None,
                         outputs: dict | None = None) -> None:
        if not runner.optim_wrapper.should_update():
            return
        for pool in self._pools:
            if not pool.updates_before:
                pool.apply_pending()
        if self.every_n_train_iters(runner, self.interval):
            for pool, previous in zip(self._pools, self._previous, strict=True):
                self._report(runner, pool, previous)
        if self.every_n_train_iters(runner, self.check_interval):
            self._compare_ranks(runner)

    def _compare_ranks(self, runner) -> None:
        if dist.get_world_size() == 1:
            return
        for pool in self._pools:
            checksum = torch.tensor([zlib.crc32(pool.pool.cpu().numpy())], device=pool.pool.device)
            first, *others = torch.cat(dist.all_gather(checksum)).tolist()
            differing = [rank for rank, other in enumerate(others, 1) if other != first]
            if differing:
                raise RuntimeError(
                    f'after {runner.iter} iterations the context pool of rank '
                    f'{", ".join(map(str, differing))} differs from that of rank 0; make sure all '
                    'ranks run the same code on the same checkpoint, and continue with --resume.')

    def _report(self, runner, pool, previous) -> None:
        seen = pool.pool.flatten(1).any(dim=1).sum()
        change = (pool.pool - previous).flatten(1).norm(dim=1).mean()
        runner.message_hub.update_scalar('train/pool_seen', seen.item())
        runner.message_hub.update_scalar('train/pool_change', change.item())
        if pool.num_non_finite and not self._warned:
            self._warned = True
            print_log(
                f'{int(pool.num_non_finite)} activation maps were not finite and did not update '
                'the context pool; lower the learning rate or check the loss scale.',
                logger='current', level=logging.WARNING)
