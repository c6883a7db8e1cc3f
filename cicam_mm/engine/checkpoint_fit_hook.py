from collections.abc import Mapping
from copy import copy

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import BaseLoop
from mmpretrain.registry import HOOKS

from cicam_mm.errors import UserError
from cicam_mm.models.weights import (
    load_all_weights,
    load_weights_to_train_on,
    state_dict_of,
)


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Refuses a checkpoint that does not fit the model or cannot be resumed.

    mmengine loads the weights that fit and leaves the others at their initialization, so a test
    could report numbers of an untrained head; it also resumes without the optimizer's state if
    there is none. With this hook, testing and resuming require all weights, and resuming the state
    of the training. A training that starts from ``load_from`` may have another head or new layers,
    which a warning lists.

    Raises:
        UserError: If a checkpoint is refused; the message names it and what it lacks.
    """

    priority = 'VERY_HIGH'  # before an EMAHook (NORMAL) reads the checkpoint

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        name = runner._load_from or 'given'
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        state_dict_of(checkpoint, name)  # raises an error if there is none
        if 'state_dict' not in checkpoint:  # the checkpoint is a state dict
            weights = copy(checkpoint)
            checkpoint.clear()
            checkpoint['state_dict'] = weights
        if runner._resume:
            _check_training_state(checkpoint, name, runner)
            _check_averaged_weights(model, checkpoint, name)
        if runner._resume or not isinstance(runner._train_loop, BaseLoop):
            load_all_weights(model, checkpoint, name)
            return
        misfits = load_weights_to_train_on(model, checkpoint, name)
        if any(misfits):
            runner.logger.warning(f'Not all weights were loaded from {name}; the others keep '
                                  f'their initialization: {misfits}.')


def _check_averaged_weights(model, checkpoint, name):
    """Check the weights that an EMAHook saved; it adds the number of its steps to them."""
    averaged = checkpoint.get('ema_state_dict')
    if isinstance(averaged, Mapping):
        averaged = {key: value for key, value in averaged.items() if key != 'steps'}
    if averaged is not None:
        load_all_weights(model, dict(state_dict=averaged), f'{name} (weights of the EMAHook)')


def _check_training_state(checkpoint, name, runner):
    meta = checkpoint.get('meta')
    counts = [meta.get(key) for key in ('epoch', 'iter')] if isinstance(meta, dict) else []
    optimizer = runner.build_optim_wrapper(runner.optim_wrapper)  # the runner's if built already
    lacking = [part for part, is_there in {
        'epoch and iteration': counts and all(isinstance(count, int) for count in counts),
        'logged values': isinstance(checkpoint.get('message_hub'), dict),
        'state of the optimizer': _has_state(checkpoint.get('optimizer'), optimizer),
        'state of the schedules': 'param_schedulers' in checkpoint or not runner.param_schedulers,
    }.items() if not is_there]
    if lacking:
        raise UserError(f'the checkpoint {name} cannot be resumed, because it lacks '
                        f'{", ".join(lacking)}; start a training from its weights with '
                        '--cfg-options load_from=FILE instead of --resume.')


def _has_state(saved, optim_wrapper):
    """Whether the saved state is of such an optimizer, and not empty if it needs one."""
    if isinstance(optim_wrapper, OptimWrapperDict):
        return isinstance(saved, dict) and all(
            _has_state(saved.get(name), wrapper) for name, wrapper in optim_wrapper.items())
    optimizer = optim_wrapper.optimizer
    try:
        sizes = [len(group['params']) for group in saved['param_groups']]
    except (KeyError, TypeError):
        return False
    if sizes != [len(group['params']) for group in optimizer.param_groups]:
        return False
    remembers = not isinstance(optimizer, torch.optim.SGD) or any(
        group['momentum'] for group in optimizer.param_groups)
    return bool(saved.get('state')) or not remembers
