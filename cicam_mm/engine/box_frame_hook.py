from collections.abc import Sequence

from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample

from cicam_mm.localization.frame import check_frame, check_whole_images


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
