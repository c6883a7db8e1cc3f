"""The picture that belongs to a prediction, in the frame of its boxes."""
from collections.abc import Sequence
from pathlib import Path, PurePath

import cv2
import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.datasets.load_image import LoadWSOLImage
from cicam_mm.datasets.wrappers import leaf_at, number_images, pipelines
from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import write_atomically

from .overlay import three_channels


def write_picture(path: str | Path, picture: np.ndarray) -> None:
    """Write a picture, RGB, uint8, (H, W, 3), in the format of the file's extension."""
    _, content = cv2.imencode(Path(path).suffix, picture[..., ::-1])
    write_atomically(path, content.tobytes())


class PictureSource:
    """Finds the picture of each prediction on a data set.

    It is the stored image if boxes refer to it, loaded as in the data set's pipeline; if boxes
    refer to the network's input, or there is no file, it is the input. Images in a
    ``ConcatDataset`` get a ``sample_idx`` of their own, see :func:`number_images`.
    """

    def __init__(self, dataset):
        number_images(dataset)
        self._dataset = dataset
        self._loader = find_loader(dataset)

    def __call__(self, inputs: Sequence[Tensor], i: int, sample: DataSample) -> np.ndarray:
        """The picture of sample i of a batch, RGB, uint8, (H, W, 3), reduced if it is too large.

        ``inputs`` are images (3, H, W), uint8, as the data set's pipeline returns them.
        """
        if sample.get('box_frame') == 'input':
            image = as_image(inputs[i])
        elif 'img_path' in sample:
            leaf, place = leaf_at(self._dataset, sample.sample_idx)
            image = self._loader(leaf.get_data_info(place))['img']  # turned as its boxes mean it
        else:
            image = cv2.resize(as_image(inputs[i]), sample.ori_shape[::-1])
        return three_channels(image)[..., ::-1]  # mmcv loads BGR

    def at(self, index: int, box_frame: str | None = None) -> np.ndarray:
        """The picture of a prediction's ``sample_idx``, by default the original image."""
        leaf, place = leaf_at(self._dataset, index)
        packed = leaf[place]
        inputs, sample = packed['inputs'], packed['data_samples']
        if isinstance(sample, list):  # several views: the last one localizes
            inputs, sample = inputs[-1], sample[-1]
        sample.set_metainfo(dict(box_frame=box_frame))
        return self([inputs], 0, sample)


def sample_name(sample: DataSample) -> str:
    """A name of the image that is unique in its data set, of its index and file name."""
    stem = PurePath(sample.get('img_path') or '').stem[:60]  # no file name exceeds 255 bytes
    return f'{sample.sample_idx:05d}{"_" * bool(stem)}{stem}'


def find_loader(dataset) -> LoadImageFromFile:
    """The transform that loads the images of a data set; LoadWSOLImage if there is none."""
    return next((step for steps in pipelines(dataset) for step in steps
                 if isinstance(step, LoadImageFromFile)), LoadWSOLImage())


def as_image(tensor: Tensor) -> np.ndarray:
    """Image (H, W, C) from an input (C, H, W), which must be uint8, as from PackInputs."""
    if tensor.dtype != torch.uint8:
        raise UserError(f'only inputs of type uint8 can be drawn, not {tensor.dtype}; leave the '
                        "normalization to the model's data_preprocessor.")
    return tensor.permute(1, 2, 0).cpu().numpy()
