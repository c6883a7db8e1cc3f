from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmpretrain.registry import HOOKS

from cicam_mm.errors import UserError


@HOOKS.register_module()
class ClassCountHook(Hook):
    """Stops a run whose head and data set disagree on the number of classes.

    Otherwise labels out of range fail deep inside the loss, on a GPU as a device-side assert.
    """

    def before_train(self, runner) -> None:
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
