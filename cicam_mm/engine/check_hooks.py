from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import HOOKS, METRICS
from mmpretrain.structures import DataSample

from cicam_mm.checkpoints.weights import load_all_weights, load_weights_to_train_on, state_dict_of
from cicam_mm.datasets.box_frame import check_frame, check_whole_images
from cicam_mm.datasets.classes import check_same_classes, classes_of_checkpoint
from cicam_mm.datasets.wrappers import build_dataset, metainfo_of, pipelines
from cicam_mm.utils.distributed import unwrapped
from cicam_mm.utils.errors import UserError


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Refuses a checkpoint that does not fit the model or cannot be resumed.

    mmengine loads the weights that fit and leaves the others at their initialization, so a test
    could report numbers of an untrained head; it also resumes without the optimizer's state if
    there is none. With this hook, testing and resuming require all weights, and resuming the state
    of the training. A training that starts from ``load_from`` may have another head or new layers,
    which a warning lists.
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
        for key, path in info.items():
            if key.startswith('best_ckpt') and not _is_own_best(path, runner):
                info[key] = None

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        name = runner._load_from or 'given'
        model = unwrapped(runner.model)
        state_dict_of(checkpoint, name)  # raises an error if there is none
        if 'state_dict' not in checkpoint:  # the checkpoint is a state dict
            weights = copy(checkpoint)
            checkpoint.clear()
            checkpoint['state_dict'] = weights
        if runner._resume:
            _check_training_state(checkpoint, name, runner)
            checkpoint['meta'].pop('config', None)  # mmengine would execute it
            if averaged := dict(checkpoint.get('ema_state_dict', {})):
                averaged.pop('steps', None)
                load_all_weights(model, averaged, f'{name} (weights of the EMAHook)')
        if runner._resume or not isinstance(runner._train_loop, BaseLoop):
            load_all_weights(model, checkpoint, name)
            return
        misfits = load_weights_to_train_on(model, checkpoint, name)
        if any(misfits):
            runner.logger.warning(f'Not all weights were loaded from {name}; the others keep '
                                  f'their initialization: {misfits}.')


def _is_own_best(path, runner):
    """Whether a path is that of a file that this run's ``CheckpointHook`` may have written."""
    return isinstance(path, str) and Path(path).name.startswith('best_') and Path(
        path).is_file() and Path(path).resolve().parent == Path(runner.work_dir).resolve()


def _check_training_state(checkpoint, name, runner):
    meta = checkpoint.get('meta')
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)  # the runner's if built already
    lacking = [part for part, is_there in {
        'epoch and iteration': isinstance(meta, dict) and {'epoch', 'iter'} <= meta.keys(),
        'logged values': 'message_hub' in checkpoint,
        'state of the optimizer': _has_state(checkpoint.get('optimizer'), wrapper.optimizer),
        'state of the schedules': 'param_schedulers' in checkpoint or not runner.param_schedulers,
    }.items() if not is_there]
    if lacking:
        raise UserError(f'the checkpoint {name} cannot be resumed, because it lacks '
                        f'{", ".join(lacking)}; start a training from its weights with '
                        '--cfg-options load_from=FILE instead of --resume.')


def _has_state(saved, optimizer):
    """Whether there is a saved state, and not an empty one; only SGD may remember nothing."""
    return bool(saved) and (bool(saved.get('state')) or all(
        group.get('momentum') == 0 for group in optimizer.param_groups))


def check_monitored(runner: Runner) -> None:
    """Refuse hooks that wait for a metric which the validation does not give."""
    waiting = {name: type(hook).__name__ for hook in runner.hooks for name in (
        getattr(hook, 'monitor', None), *getattr(hook, 'key_indicators', ()))
        if name not in (None, 'auto')}
    known = waiting and runner.cfg.get('val_evaluator') and metric_names(runner.cfg.val_evaluator)
    for name, hook in waiting.items():
        if known and name not in known:
            raise UserError(f'{hook} waits for the metric {name}, but the validation gives '
                            f'{", ".join(known)}; choose one of these.')


def metric_names(configs: Mapping | Sequence[Mapping]) -> list[str] | None:
    """Names of what metrics give for a made-up prediction; None if they need more than that."""
    box, score_map = [0, 0, 3, 3], torch.eye(4)
    sample = DataSample(metainfo=dict(sample_idx=0, img_shape=(4, 4), ori_shape=(4, 4)))
    sample.set_gt_label(9).set_pred_label(9).set_pred_score(torch.arange(10.) / 45)
    sample.set_data(dict(
        score_map=score_map, label_map=score_map, gt_mask=np.ones((4, 4), np.uint8),
        top_labels=torch.arange(10), pred_boxes=torch.tensor([box] * 10),
        pred_box=torch.tensor(box), label_box=torch.tensor(box), gt_bboxes=np.array([box])))
    evaluator = Evaluator([METRICS.build(dict(metric)) for metric in (
        [configs] if isinstance(configs, Mapping) else configs)])
    try:
        evaluator.process([sample])
        return [*evaluator.evaluate(1)]
    except Exception:  # a metric may expect anything
        return None


@HOOKS.register_module()
class BoxFrameHook(Hook):
    """Stops a validation or test whose pipeline does not fit the localizer's frame of the boxes.

    See :func:`check_frame` and, after each batch, :func:`check_whole_images`.
    """

    def _before_epoch(self, runner, mode: str = 'train') -> None:
        if mode != 'train':
            check_frame(runner.model, *pipelines(_dataset(runner, mode)))

    def _after_iter(self, runner, batch_idx: int, data_batch=None,
                    outputs: Sequence[DataSample] = (), mode: str = 'train') -> None:
        if mode != 'train':
            check_whole_images(runner.model, pipelines(_dataset(runner, mode)), outputs)


def _dataset(runner, mode):
    return getattr(runner, f'{mode}_dataloader').dataset


#: How messages call the data sets of a run.
SPLITS = dict(train='the training set', val='the validation set', test='the test set')


@HOOKS.register_module(['ClassNamesHook', 'ClassCountHook'])
class ClassNamesHook(Hook):
    """Stops a run before its first step unless label k means the same class everywhere.

    The class names of training, validation and test set, of a checkpoint that is tested or
    resumed, and of the model's ``other_networks`` must be unique and equal in order, and as many
    as the head has classes. A training builds its test set for this, unless its files are not on
    this machine.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner) -> None:
        metainfos = _metainfos(runner)
        classes = metainfos[SPLITS['train']].get('classes')
        if classes is not None and len(classes) == 1:
            raise UserError(f'the training set has the single class {classes[0]}, so there is '
                            'nothing to learn; add images of another class.')
        if (test_set := _unbuilt_test_set(runner)) is not None:
            metainfos[SPLITS['test']] = metainfo_of(test_set)
        _check_classes(runner.model, metainfos, SPLITS['train'])

    def before_val(self, runner) -> None:
        _check_classes(runner.model, _metainfos(runner), SPLITS['val'])

    def before_test(self, runner) -> None:
        _check_classes(runner.model, _metainfos(runner), SPLITS['test'])

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        if runner._resume or not isinstance(runner._train_loop, BaseLoop):
            found = classes_of_checkpoint(checkpoint, str(runner._load_from))
            check_same_classes({'the checkpoint': found} | _metainfos(runner))


def _check_classes(model, metainfos, name):
    """Compare all class names, and their number in the data set of this name with the head's."""
    check_same_classes(metainfos)
    expected = getattr(getattr(unwrapped(model), 'head', None), 'num_classes', None)
    classes = metainfos[name].get('classes')
    if expected is not None and classes is not None and len(classes) != expected:
        raise UserError(
            f'{name} has {len(classes)} classes but the head has num_classes={expected}; set '
            f'model.head.num_classes={len(classes)}, or change the classes of the data set.')


def _metainfos(runner):
    """The ``metainfo`` of what is built, by its name in messages."""
    model = unwrapped(runner.model)
    others = {name: classes_of_checkpoint(dict(meta=network.checkpoint_meta), name)
              for name, network in getattr(model, 'other_networks', {}).items()}
    loops = {split: getattr(runner, f'_{split}_loop', None) for split in SPLITS}
    return others | {SPLITS[split]: metainfo_of(loop.dataloader.dataset)
                     for split, loop in loops.items() if isinstance(loop, BaseLoop)}


def _unbuilt_test_set(runner):
    """The test set of a training, unless that is its validation set or is not there."""
    val, test = ((runner.cfg.get(f'{split}_dataloader') or {}).get('dataset')
                 for split in ('val', 'test'))
    if isinstance(runner._test_loop, BaseLoop) or not isinstance(test, dict) or test == val:
        return None
    try:
        return build_dataset(test)
    except OSError:
        return None
