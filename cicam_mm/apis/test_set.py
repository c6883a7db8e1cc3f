"""A model on a test set, and images to try a model on."""
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.device import get_device
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader, Subset

from cicam_mm.datasets.box_frame import check_frame, check_whole_images
from cicam_mm.datasets.classes import check_same_classes
from cicam_mm.datasets.images import EXTENSIONS
from cicam_mm.datasets.wrappers import build_dataset, metainfo_of, pipelines
from cicam_mm.utils.console import with_progress
from cicam_mm.utils.errors import UserError
from cicam_mm.visualization.comparison import Example, localized
from cicam_mm.visualization.pictures import PictureSource

from .inferencer import load_model
from .inputs import find_images


class TestSet:
    """A model on the test set of its config: predictions and pictures of selected images.

    The ``test_dataloader`` of the config defines data, batch and workers. The model runs on a GPU
    by default if there is one.
    """

    __test__ = False  # pytest would take the class for a test

    def __init__(self, cfg: Config, checkpoint: str, device: str | None = None):
        self.model = load_model(cfg, checkpoint, device or get_device())
        self.dataset = build_dataset(cfg.test_dataloader.dataset)
        self._loader = dict(batch_size=cfg.test_dataloader.batch_size,
                            num_workers=cfg.test_dataloader.num_workers)
        check_frame(self.model, *pipelines(self.dataset))
        check_same_classes({'the checkpoint': getattr(self.model, '_dataset_meta', None),
                            'the test set': metainfo_of(self.dataset)})
        self.pictures = PictureSource(self.dataset)

    @property
    def classes(self) -> Sequence[str] | None:
        """Names of the classes, or None if the data set does not have them."""
        return metainfo_of(self.dataset).get('classes')

    @torch.no_grad()
    def predict(self, indices: Sequence[int], name: str = 'test set') -> Iterator[DataSample]:
        """Predictions for the images with these indices, on the CPU.

        Lines about the progress begin with ``name``.
        """
        images = DataLoader(
            Subset(self.dataset, indices), collate_fn=default_collate, **self._loader)
        for data in with_progress(
                images, lambda done: f'{name}: {done} of {len(images)} batches'):
            samples = self.model.test_step(data)
            check_whole_images(self.model, pipelines(self.dataset), samples)
            yield from (sample.cpu() for sample in samples)

    def example(self, samples: Mapping[str, DataSample], caption: str = '') -> Example:
        """A row of :func:`draw_comparison` from the predictions of an image by method."""
        sample = next(iter(samples.values()))
        frame = sample.ori_shape if sample.box_frame == 'original' else None
        return Example(self.pictures.at(sample.sample_idx, sample.box_frame),
                       sample.get('gt_bboxes', ()),
                       [localized(*prediction) for prediction in samples.items()], caption, frame)


def check_same_images(predicted: Mapping[str, Mapping[int, DataSample]]) -> None:
    """Refuse methods, predictions by index, whose test images, ground truth or frames differ."""
    (first, expected), *others = ((name, [*map(_truth, samples.values())])
                                  for name, samples in predicted.items())
    for name, found in others:
        if found != expected:
            raise UserError(f'{first} and {name} have different test images or box frames; '
                            'compare configs with the same test set and frame')


def _truth(sample):
    return (int(sample.gt_label), sample.get('img_path'), sample.box_frame,
            np.asarray(sample.get('gt_bboxes', ())).tolist())


def sample_images(paths: Sequence[str], cfg: Config, limit: int) -> Sequence[str | np.ndarray]:
    """Images to try a model on, as a :class:`WSOLInferencer` takes them, at most ``limit``.

    Of files, folders and globs, or of the test set of a config if there are none, they are spread
    evenly; of folders and globs, only files with the extension of an image count. There are none
    where the test set is not on this machine.
    """
    found, named = find_images(paths), {*map(str, paths)}
    images = [file for file in found if file in named or file.lower().endswith(EXTENSIONS)]
    images = images or found or _images_of_test_set(cfg)
    return images[::math.ceil(len(images) / limit) or 1]


def _images_of_test_set(cfg):
    try:
        dataset = build_dataset(cfg.test_dataloader.dataset)
    except FileNotFoundError:
        return []
    infos = map(dataset.get_data_info, range(len(dataset)))
    return [info['img'] if 'img' in info else info['img_path'] for info in infos]
