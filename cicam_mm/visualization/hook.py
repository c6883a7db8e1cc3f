from collections.abc import Sequence

from mmengine.fileio import join_path
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample

from .picture_source import PictureSource, sample_name
from .visualizer import LocalizationVisualizer


@HOOKS.register_module()
class LocalizationVisualizationHook(Hook):
    """Draws score map, boxes and caption of predictions.

    They are drawn on the stored image if boxes refer to it, loaded as in the test pipeline; if
    boxes refer to the network's input, or there is no file, they are drawn on the input.

    Args:
        out_dir (str, optional): Folder for one PNG per image, named by its index in the data set
            and its file, so that names are unique; every rank writes its own images. Defaults to
            None: the visualizer's backends, to which only the first rank writes.
        interval (int): Draw every n-th image of the data set. Defaults to 1.
        val (bool): Also draw in validation; names in ``out_dir`` then end with the iteration.
            Defaults to False.

    Raises:
        TypeError: If the backends' visualizer cannot draw localizations.
        OSError: If an image cannot be read; the message names it.
    """

    def __init__(self, out_dir: str | None = None, interval: int = 1, val: bool = False):
        self.out_dir = out_dir
        self.interval = interval
        self.val = val

    def before_val(self, runner) -> None:
        if self.val:
            self._prepare(runner, runner.val_dataloader.dataset)

    def before_test(self, runner) -> None:
        self._prepare(runner, runner.test_dataloader.dataset)

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.val:
            self._draw(data_batch['inputs'], outputs, runner.iter, f'_{runner.iter}')

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self._draw(data_batch['inputs'], outputs, 0, '')

    def _prepare(self, runner, dataset) -> None:
        self._visualizer = runner.visualizer
        if not isinstance(self._visualizer, LocalizationVisualizer):
            if self.out_dir is None:
                raise TypeError(f'{type(self._visualizer).__name__} cannot draw localizations; set'
                                " visualizer=dict(type='LocalizationVisualizer', "
                                'vis_backends=...) in the config, or give the hook an out_dir.')
            self._visualizer = LocalizationVisualizer()
        # only on the first rank does the visualizer have the names
        self._classes = dataset.metainfo.get('classes')
        self._picture = PictureSource(dataset)

    def _draw(self, inputs, samples: Sequence[DataSample], step: int, suffix: str) -> None:
        for i, sample in enumerate(samples):
            if sample.sample_idx % self.interval:
                continue
            name = sample_name(sample)
            self._visualizer.add_datasample(
                name, self._picture(inputs, i, sample), sample, self._classes, step=step,
                out_file=self.out_dir and join_path(self.out_dir, f'{name}{suffix}.png'))
