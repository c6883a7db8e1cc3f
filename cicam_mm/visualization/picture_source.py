"""The picture that belongs to a prediction, in the frame of its boxes."""
from collections.abc import Sequence
from pathlib import PurePath

import cv2
import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.datasets.transforms import LoadWSOLImage

from .overlay import three_channels


class PictureSource:
    """Finds the pictures of a data set's predictions.

    That is the stored image where boxes refer to it, loaded as the data set's pipeline does, and
    the network's input where boxes refer to that or no file exists.

    Args:
        dataset: The data set, with or without a ``pipeline``.
        takes_input (bool): Whether boxes refer to the network's input, see
            :func:`localizes_on_input`. Defaults to False.
    """

    def __init__(self, dataset, takes_input: bool = False):
        self._dataset = dataset
        self._loader = find_loader(dataset)
        self._takes_input = takes_input

    def __call__(self, inputs: Sequence[Tensor], i: int, sample: DataSample) -> np.ndarray:
        """The picture of a sample.

        Args:
            inputs (Sequence[Tensor]): What the data set's pipeline made of the images of a batch,
                each (3, H, W), uint8.
            i (int): Place of the sample in the batch.
            sample (DataSample): Its ``img_path``, if any, and ``ori_shape`` are used.

        Returns:
            np.ndarray: RGB, uint8, shape (H, W, 3).

        Raises:
            OSError: If the image cannot be read; the message names it.
        """
        if self._takes_input:
            image = as_image(inputs[i])
        elif 'img_path' in sample:
            image = self._loader(dict(img_path=sample.img_path))['img']
        else:
            image = cv2.resize(as_image(inputs[i]), sample.ori_shape[::-1])
        return three_channels(image)[..., ::-1]  # the stack loads BGR

    def at(self, index: int) -> np.ndarray:
        """The picture at a place of the data set, as of :meth:`__call__`."""
        packed = self._dataset[index]
        inputs, sample = packed['inputs'], packed['data_samples']
        if isinstance(sample, list):  # several views: the last one localizes
            inputs, sample = inputs[-1], sample[-1]
        return self([inputs], 0, sample)


def localizes_on_input(model) -> bool:
    """Whether a model's boxes are in pixels of its input, not of the original image."""
    localizers = (getattr(module, 'localizer', None) for module in model.modules())
    return any(getattr(localizer, 'frame', None) == 'input' for localizer in localizers)


def sample_name(sample: DataSample) -> str:
    """A name of the image that is unique in its data set: its index, then its file, if any."""
    stem = PurePath(sample.get('img_path') or '').stem[:60]  # no file name exceeds 255 bytes
    return f'{sample.sample_idx:05d}{"_" * bool(stem)}{stem}'


def find_loader(dataset) -> LoadImageFromFile:
    """The transform that loads the images of a data set, LoadWSOLImage if none is in sight."""
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    return next((t for t in transforms if isinstance(t, LoadImageFromFile)), LoadWSOLImage())


def as_image(tensor: Tensor) -> np.ndarray:
    """Image (H, W, C) of an input (C, H, W), which must be uint8, as PackInputs leaves it."""
    if tensor.dtype != torch.uint8:
        raise ValueError(f'only inputs of type uint8 can be drawn, not {tensor.dtype}; leave the '
                         "normalization to the model's data_preprocessor.")
    return tensor.permute(1, 2, 0).cpu().numpy()
