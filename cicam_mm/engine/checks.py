from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path

import torch
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import BaseLoop
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample

from cicam_mm.checkpoints.weights import load_all_weights, load_weights_to_train_on, state_dict_of
from cicam_mm.datasets.box_frame import check_frame, check_whole_images
from cicam_mm.utils.errors import UserError


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

    def before_train(self, runner) -> None:
        """Let a resumed training remove only its own checkpoints.

        ``CheckpointHook`` takes from the resumed checkpoint which ones it removes: the oldest, and
        the best so far, a file or a whole folder, once there is a better one.
        """
        info = runner.message_hub.runtime_info
        kept = info.get('keep_ckpt_ids', [])
        if not isinstance(kept, list) or not all(isinstance(step, int) for step in kept):
            del info['keep_ckpt_ids']
        for key in [key for key in info if key.startswith('best_ckpt')]:
            if info[key] is not None and not _is_own_best(info[key], runner):
                runner.logger.warning(
                    f'The resumed checkpoint names {info[key]!r} as the best one so far. It is '
                    'not of this run, so it will not be removed for a better one.')
                info[key] = None

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
            checkpoint['meta'].pop('config', None)  # mmengine would execute it
            _check_averaged_weights(model, checkpoint, name)
        if runner._resume or not isinstance(runner._train_loop, BaseLoop):
            load_all_weights(model, checkpoint, name)
            return
        misfits = load_weights_to_train_on(model, checkpoint, name)
        if any(misfits):
            runner.logger.warning(f'Not all weights were loaded from {name}; the others keep '
                                  f'their initialization: {misfits}.')


def _is_own_best(path, runner):
    """Whether a path is that of a file that this run's ``CheckpointHook`` may have written."""
    if not isinstance(path, str) or not Path(path).is_file():
        return False
    parents = [hook.out_dir and Path(hook.out_dir, Path(runner.work_dir).name)
               for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    return Path(path).name.startswith('best_') and any(
        Path(path).parent.samefile(folder) for folder in (runner.work_dir, *parents)
        if folder and Path(folder).is_dir())


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


@HOOKS.register_module()
class BoxFrameHook(Hook):
    """Stops a validation or test whose pipeline does not fit the localizer's frame of the boxes.

    Raises:
        UserError: Before the first image, see :func:`check_frame`, or after a batch, see
            :func:`check_whole_images`.
    """

    def _before_epoch(self, runner, mode: str = 'train') -> None:
        if mode != 'train':
            check_frame(runner.model, _pipeline(runner, mode))

    def _after_iter(self, runner, batch_idx: int, data_batch=None,
                    outputs: Sequence[DataSample] = (), mode: str = 'train') -> None:
        if mode != 'train':
            check_whole_images(runner.model, _pipeline(runner, mode), outputs)


def _pipeline(runner, mode):
    dataset = getattr(runner, f'{mode}_dataloader').dataset
    while not hasattr(dataset, 'pipeline') and hasattr(dataset, 'dataset'):  # a wrapper
        dataset = dataset.dataset
    return getattr(getattr(dataset, 'pipeline', None), 'transforms', ())


@HOOKS.register_module()
class ClassCountHook(Hook):
    """Stops a run whose head and data set disagree on the number of classes.

    Otherwise labels out of range fail deep inside the loss, on a GPU as a device-side assert. A
    training needs two classes at least, because the loss of a single one is always 0.
    """

    def before_train(self, runner) -> None:
        classes = getattr(runner.train_dataloader.dataset, 'metainfo', {}).get('classes')
        if classes is not None and len(classes) == 1:
            raise UserError(f'the training data set has the single class {classes[0]}, so there '
                            'is nothing to learn; add images of another class.')
        _check(runner.model, runner.train_dataloader.dataset, 'training')

    def before_val_epoch(self, runner) -> None:
        _check(runner.model, runner.val_dataloader.dataset, 'validation')

    def before_test_epoch(self, runner) -> None:
        _check(runner.model, runner.test_dataloader.dataset, 'test')


def _check(model, dataset, split) -> None:
    model = model.module if is_model_wrapper(model) else model
    expected = getattr(getattr(model, 'head', None), 'num_classes', None)
    classes = getattr(dataset, 'metainfo', {}).get('classes')
    if expected is not None and classes is not None and len(classes) != expected:
        raise UserError(
            f'the {split} data set has {len(classes)} classes but the head has num_classes='
            f'{expected}; set model.head.num_classes={len(classes)}, or change the classes of '
            'the data set.')


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
