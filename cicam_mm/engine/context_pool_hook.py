
import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmpretrain.registry import HOOKS
from torch import Tensor

from cicam_mm.models import CausalContextPool


@HOOKS.register_module()
class ContextPoolHook(Hook):
    """Updates the causal context pools of a model after every optimizer step (Eq. 7).

    What the step contributed is gathered from all ranks and summed by class *before* the
    normalization, which is not linear; then each rank applies the same update to the same
    numbers, so k ranks train the pool of one rank with the k-fold batch. Gradient
    accumulation counts as one step.

    Logs ``pool_seen``, the number of classes that have a context, and ``pool_change``, the
    mean distance the rows moved in the last step.

    Args:
        interval (int): Steps between two such entries; reading them waits for the device.
            Defaults to 50.
    """

    # before an EMAHook (NORMAL) copies the pool and a LoggerHook (BELOW_NORMAL) reports
    priority = 'ABOVE_NORMAL'

    def __init__(self, interval: int = 50):
        self.interval = interval
        self._warned = False

    def before_train(self, runner) -> None:
        pools = [m for m in runner.model.modules() if isinstance(m, CausalContextPool)]
        if not pools:
            raise ValueError('ContextPoolHook found no CausalContextPool in the model; take the '
                             'hook out of custom_hooks, or use a DualCAMHead with a pool.')
        self._pools = [pool for pool in pools if not pool.frozen]
        for pool in self._pools:
            pool.has_updater = True

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch=None,
                         outputs: dict | None = None) -> None:
        if not runner.optim_wrapper.should_update():
            return
        report = self.every_n_train_iters(runner, self.interval)
        for pool in self._pools:
            before = pool.pool.clone() if report else None
            pool.update(*gather_contributions(*pool.take_pending()))
            if report:
                self._report(runner, pool, before)

    def _report(self, runner, pool, before) -> None:
        seen = pool.pool.flatten(1).any(dim=1).sum()
        change = (pool.pool - before).flatten(1).norm(dim=1).mean()
        runner.message_hub.update_scalar('train/pool_seen', seen.item())
        runner.message_hub.update_scalar('train/pool_change', change.item())
        if pool.num_non_finite and not self._warned:
            self._warned = True
            print_log(
                f'{int(pool.num_non_finite)} activation maps that were not finite have been left '
                'out of the context pool; lower the learning rate or look at the loss scale.',
                logger='current', level='WARNING')


def gather_contributions(classes: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Join the contributions of all ranks, in rank order; any rank may bring any number.

    Args:
        classes (Tensor): This rank's class indices, shape (k, ).
        maps (Tensor): This rank's maps, shape (k, h, w).

    Returns:
        tuple[Tensor, Tensor]: Classes (K, ) and maps (K, h, w), the same on every rank.
    """
    if dist.get_world_size() == 1:
        return classes, maps
    counts = torch.cat(dist.all_gather(classes.new_tensor([len(classes)]))).tolist()
    missing = max(counts) - len(classes)
    classes = dist.all_gather(torch.cat([classes, classes.new_zeros(missing)]))
    maps = dist.all_gather(torch.cat([maps, maps.new_zeros(missing, *maps.shape[1:])]))
    return (torch.cat([c[:n] for c, n in zip(classes, counts, strict=True)]),
            torch.cat([m[:n] for m, n in zip(maps, counts, strict=True)]))
