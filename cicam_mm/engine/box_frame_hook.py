from collections.abc import Sequence

from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample

from cicam_mm.localization.frame import check_frame, check_whole_images


@HOOKS.register_module()
class BoxFrameHook(Hook):
    """Stops a test whose pipeline does not fit the localizer's frame of the boxes.

    Raises:
        UserError: Before the first image, see :func:`check_frame`, or behind a batch, see
            :func:`check_whole_images`.
    """

    def before_val_epoch(self, runner) -> None:
        check_frame(runner.model, _pipeline(runner.val_dataloader.dataset))

    def before_test_epoch(self, runner) -> None:
        check_frame(runner.model, _pipeline(runner.test_dataloader.dataset))

    def after_val_iter(self, runner, batch_idx: int, data_batch=None,
                       outputs: Sequence[DataSample] = ()) -> None:
        check_whole_images(runner.model, _pipeline(runner.val_dataloader.dataset), outputs)

    def after_test_iter(self, runner, batch_idx: int, data_batch=None,
                        outputs: Sequence[DataSample] = ()) -> None:
        check_whole_images(runner.model, _pipeline(runner.test_dataloader.dataset), outputs)


def _pipeline(dataset):
    while not hasattr(dataset, 'pipeline') and hasattr(dataset, 'dataset'):  # a wrapper
        dataset = dataset.dataset
    return getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
