from collections import deque
from itertools import groupby

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmpretrain.registry import HOOKS

from cicam_mm.evaluation.sample_fields import image_name
from cicam_mm.models import find_pools


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Keeps a loss that is not finite out of weights and pool; several in a row end the training.

    Gradients that are not all finite are replaced by zeros, so that step moves weights by the
    optimizer's momentum only; they are averaged over the ranks, so all ranks do so in the same
    steps. The images of such a loss do not feed the context pool.

    No step waits for the device: losses are looked at every ``patience`` iterations and before a
    checkpoint is saved, and the files of the batches are named then, in a warning or in the
    error. Running statistics, as those of batch norm, have seen the batch; where they are not
    finite either, the training ends, and the last checkpoint is the last good state.

    Args:
        patience (int): Losses in a row that end the training. Defaults to 10.

    Raises:
        FloatingPointError: In the training, see above.
    """

    # before a ContextPoolHook (ABOVE_NORMAL) takes what the step feeds
    priority = 'HIGH'

    def __init__(self, patience: int = 10):
        self.patience = patience
        self._losses = deque(maxlen=2 * patience)  # (iteration, is finite, files)
        self._told = 0

    def before_train(self, runner) -> None:
        self._pools = find_pools(runner.model)
        runner.optim_wrapper.optimizer.register_step_pre_hook(zero_non_finite_gradients)

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        finite = outputs['loss'].isfinite()
        for pool in self._pools:
            pool.discard_pending_unless(finite)
        files = ', '.join(map(image_name, data_batch['data_samples']))
        self._losses.append((runner.iter + 1, finite, files))
        if self.every_n_train_iters(runner, self.patience):
            self._look(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        self._look(runner)

    def _look(self, runner) -> None:
        if not self._losses:
            return
        finite = torch.stack([finite for _, finite, _ in self._losses]).tolist()
        for is_finite, run in groupby(zip(self._losses, finite, strict=True), lambda x: x[1]):
            losses = [loss for loss, _ in run]
            if not is_finite:
                self._judge(runner, losses)

    def _judge(self, runner, losses) -> None:
        """Tell of losses in a row that are not finite, or end the training."""
        (first, _, files), (last, _, last_files) = losses[0], losses[-1]
        which = f'iteration {first}' if first == last else f'iterations {first} to {last}'
        what = f'the loss is not finite in {which}'
        if len(losses) >= self.patience:
            raise FloatingPointError(f'{what}: lower the learning rate or the loss scale, or look '
                                     f'at {last_files}.')
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for name, buffer in model.named_buffers():
            if not buffer.isfinite().all():
                raise FloatingPointError(
                    f'{what}, and {name} is not finite any more: look at {files}, and go on from '
                    'the last checkpoint with --resume.')
        if last > self._told:
            self._told = last
            runner.logger.warning(f'{what}: these images train nothing. First batch: {files}.')


def zero_non_finite_gradients(optimizer, args, kwargs) -> None:
    """Replace all gradients by zeros unless all are finite; for an optimizer's step pre-hook."""
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    gradients = [p.grad for p in parameters if p.grad is not None]
    bad = ~torch.nn.utils.get_total_norm(gradients).isfinite()
    for gradient in gradients:
        gradient.masked_fill_(bad, 0)
