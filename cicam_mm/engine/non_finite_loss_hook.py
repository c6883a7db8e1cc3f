from collections import deque
from itertools import groupby

import torch
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cicam_mm.models.context_pool import find_pools
from cicam_mm.utils.distributed import unwrapped
from cicam_mm.utils.samples import image_name


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Keeps a non-finite loss out of weights and pool; several in a row end the training.

    If any gradient is not finite, all gradients of the step become zero, so only the optimizer's
    momentum changes the weights; that counts as a loss that is not finite. Gradients are averaged
    over the ranks, so this happens on all ranks in the same steps. The images of a loss that is
    not finite do not update the context pool.

    No step waits for the device: losses are checked every ``patience`` iterations and before a
    checkpoint is saved, and only then are the files of the batches named, in a warning or in the
    error. Running statistics, such as those of batch norm, have already seen the batch; if they
    are not finite either, the training ends, and the last checkpoint is the last good state.

    Args:
        patience (int): Consecutive non-finite losses that end the training by a
            FloatingPointError.
    """

    # before a ContextPoolHook (ABOVE_NORMAL) takes the contributions of the step
    priority = 'HIGH'

    def __init__(self, patience: int = 10):
        self.patience = patience
        self._losses = deque(maxlen=2 * patience)  # (iteration, is finite, files)
        self._last_reported = 0
        self._bad_gradients = None  # whether those of this step are, if it is a step

    def before_train(self, runner) -> None:
        self._pools = find_pools(runner.model)
        runner.optim_wrapper.optimizer.register_step_pre_hook(self._zero_non_finite_gradients)

    def _zero_non_finite_gradients(self, optimizer, args, kwargs) -> None:
        gradients = [parameter.grad for group in optimizer.param_groups
                     for parameter in group['params'] if parameter.grad is not None]
        bad = ~torch.nn.utils.get_total_norm(gradients).isfinite()
        for gradient in gradients:
            gradient.masked_fill_(bad, 0)
        self._bad_gradients = bad

    def after_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        if 'loss' not in outputs:  # of a FitLoop
            return
        finite = outputs['loss'].isfinite()
        for pool in self._pools:
            pool.discard_pending_unless(finite)
        if self._bad_gradients is not None:  # None while gradients accumulate
            finite = finite & ~self._bad_gradients.to(finite.device)
            self._bad_gradients = None
        files = ', '.join(map(image_name, data_batch['data_samples']))
        self._losses.append((runner.iter + 1, finite, files))
        if self.every_n_train_iters(runner, self.patience):
            self._check(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        self._check(runner)

    def _check(self, runner) -> None:
        if not self._losses:
            return
        finite = torch.stack([finite for _, finite, _ in self._losses]).tolist()
        for is_finite, run in groupby(zip(self._losses, finite, strict=True), lambda x: x[1]):
            losses = [loss for loss, _ in run]
            if not is_finite:
                self._warn_or_stop(runner, losses)

    def _warn_or_stop(self, runner, losses) -> None:
        """Warn of consecutive losses that are not finite, or end the training."""
        (first, _, files), (last, _, last_files) = losses[0], losses[-1]
        which = f'iteration {first}' if first == last else f'iterations {first} to {last}'
        what = f'the loss or its gradient is not finite in {which}'
        if len(losses) >= self.patience:
            raise FloatingPointError(f'{what}; lower the learning rate or the loss scale, or '
                                     f'check {last_files}.')
        model = unwrapped(runner.model)
        for name, buffer in model.named_buffers():
            if not buffer.isfinite().all():
                raise FloatingPointError(
                    f'{what}, and neither is {name} any more; check {files}, and continue from '
                    'the last checkpoint with --resume.')
        if last > self._last_reported:
            self._last_reported = last
            runner.logger.warning(f'{what}; the gradients of these steps were set to zero. '
                                  f'First batch: {files}.')
