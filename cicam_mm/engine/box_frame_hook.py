from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cicam_mm.localization.frame import check_frame


@HOOKS.register_module()
class BoxFrameHook(Hook):
    """Stops a test whose pipeline leaves boxes in other pixels than the localizer says.

    Raises:
        UserError: Before the first image, see :func:`check_frame`.
    """

    def before_val_epoch(self, runner) -> None:
        _check(runner.model, runner.val_dataloader.dataset)

    def before_test_epoch(self, runner) -> None:
        _check(runner.model, runner.test_dataloader.dataset)


def _check(model, dataset) -> None:
    while not hasattr(dataset, 'pipeline') and hasattr(dataset, 'dataset'):  # a wrapper
        dataset = dataset.dataset
    check_frame(model, getattr(getattr(dataset, 'pipeline', None), 'transforms', ()))
