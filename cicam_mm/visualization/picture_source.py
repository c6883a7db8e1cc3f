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
from cicam_mm.errors import UserError

from .overlay import three_channels


class PictureSource:
    """Finds the pictures of a data set's predictions.

    That is the stored image where boxes refer to it, loaded as the data set's pipeline does, and
    the network's input where boxes refer to that or no file exists.

    Args:
        dataset: The data set, with or without a ``pipeline``.
    """

    def __init__(self, dataset):
        self._dataset = dataset
        self._loader = find_loader(dataset)

    def __call__(self, inputs: Sequence[Tensor], i: int, sample: DataSample) -> np.ndarray:
        """The picture of a sample.

        Args:
            inputs (Sequence[Tensor]): What the data set's pipeline made of the images of a batch,
                each (3, H, W), uint8.
            i (int): Place of the sample in the batch.
            sample (DataSample): Its ``box_frame``, as the localizer stated it, ``img_path``, if
                any, and ``ori_shape`` are used.

        Returns:
            np.ndarray: RGB, uint8, shape (H, W, 3); of an image that is too large to be decoded
            whole a reduced one.

        Raises:
            OSError: If the image cannot be read; the message names it.
        """
        if sample.get('box_frame') == 'input':
            image = as_image(inputs[i])
        elif 'img_path' in sample:
            image = self._loader(dict(img_path=sample.img_path))['img']
        else:
            image = cv2.resize(as_image(inputs[i]), sample.ori_shape[::-1])
        return three_channels(image)[..., ::-1]  # the stack loads BGR

    def at(self, index: int, box_frame: str | None = None) -> np.ndarray:
        """The picture at a place of the data set, as of :meth:`__call__`.

        Args:
            index (int): The place.
            box_frame (str, optional): That of the prediction. Defaults to None, the original.

        Raises:
            UserError: There is no such place.
        """
        if not isinstance(index, int) or not 0 <= index < len(self._dataset):
            raise UserError(f'there is no image {index} in a data set of {len(self._dataset)}; '
                            'the predictions are of other images.')
        packed = self._dataset[index]
        inputs, sample = packed['inputs'], packed['data_samples']
        if isinstance(sample, list):  # several views: the last one localizes
            inputs, sample = inputs[-1], sample[-1]
        sample.set_metainfo(dict(box_frame=box_frame))
        return self([inputs], 0, sample)


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
        raise UserError(f'only inputs of type uint8 can be drawn, not {tensor.dtype}; leave the '
                        "normalization to the model's data_preprocessor.")
    return tensor.permute(1, 2, 0).cpu().numpy()
