"""Loading of images with boxes, and reproducible augmentation."""
import random
from collections.abc import Iterable
from contextlib import contextmanager

import numpy as np
import torch
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine.fileio import get
from mmpretrain.registry import TRANSFORMS

from cicam_mm.errors import UserError

from .data_file import check_if_local
from .reduced_decoding import MAX_PIXELS, decode_reduced, open_image


@contextmanager
def naming_the_file(kind: str, path: str):
    """Make errors in reading an image file name it; ``kind`` is its content, capitalized."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f"{kind} '{path}' does not exist; restore it, or remove it "
                                'from the annotation lists.') from None
    except UserError as error:
        raise UserError(f"{kind} '{path}' is refused: {error}") from error
    except Exception as error:
        raise OSError(
            f"{kind} '{path}' cannot be read (no permission, or empty, truncated or not an "
            'image); restore it, or remove it from the annotation lists.') from error


@TRANSFORMS.register_module()
class LoadWSOLImage(LoadImageFromFile):
    """Loads an image and checks that its boxes are inside it.

    A fifth of a box may lie outside: published boxes cross the border, in CUB by up to 7 % of
    their area. They are not clipped, as released codes do not.

    Required keys: ``img_path``; optional keys: ``instances``, and ``width`` and
    ``height`` if a list has the size. Added keys: ``img`` (H, W, 3) uint8, BGR;
    ``img_shape`` and ``ori_shape`` (H, W).

    Args:
        color_type (str): See mmcv's ``LoadImageFromFile``. Defaults to
            'color_ignore_orientation', because WSOL boxes refer to the stored
            pixels; 'color' would rotate an image by its EXIF tag, but not its
            boxes.
        max_pixels (int): Maximum number of pixels of a decoded image. A larger JPEG is
            decoded at 1/2, 1/4 or 1/8 of its size, with boxes still in pixels of the
            full size; a larger image of another format is refused. Defaults to
            89,478,485, as in Pillow.
        **kwargs: Other arguments of ``LoadImageFromFile``.

    Raises:
        OSError: If the image cannot be read.
        ValueError: If more than a fifth of a box is outside the image, or the image does not
            have its listed size.
    """

    def __init__(self,
                 color_type: str = 'color_ignore_orientation',
                 max_pixels: int = MAX_PIXELS,
                 **kwargs):
        super().__init__(color_type=color_type, **kwargs)
        self.max_pixels = max_pixels

    def transform(self, results: dict) -> dict | None:
        with naming_the_file('Image', results['img_path']):
            results = self._load(results)
        if results is not None:  # None with the option ignore_empty
            self._check_size(results)
            self._check_boxes(results)
        return results

    def _load(self, results: dict) -> dict | None:
        path = results['img_path']
        if check_if_local(path):
            with open_image(path) as header:
                width, height = header.size
            if width * height <= self.max_pixels:
                return super().transform(results)
        content = get(path, backend_args=self.backend_args)
        img, ori_shape = decode_reduced(content, self.max_pixels)
        return dict(results, img=img, img_shape=img.shape[:2], ori_shape=ori_shape)

    @staticmethod
    def _check_size(results: dict) -> None:
        height, width = results['ori_shape']
        listed = results.get('width', width), results.get('height', height)
        if listed != (width, height):
            raise UserError(
                f"Image '{results['img_path']}' has {width} x {height} pixels (width x height), "
                f'but {listed[0]} x {listed[1]} in its list, to which its boxes refer; restore '
                'the original image, or correct sizes and boxes in the lists.')

    @staticmethod
    def _check_boxes(results: dict) -> None:
        height, width = results['ori_shape']
        for instance in results.get('instances', ()):
            if 'bbox' not in instance:  # a mask only
                continue
            x0, y0, x1, y1 = instance['bbox']
            inside = (min(x1, width) - max(x0, 0), min(y1, height) - max(y0, 0))
            if min(inside) <= 0 or inside[0] * inside[1] < 0.8 * (x1 - x0) * (y1 - y0):
                raise UserError(
                    f"Box {[x0, y0, x1, y1]} (x0, y0, x1, y1) of image '{results['img_path']}' "
                    f'is for more than a fifth outside the image of {width} x {height} pixels '
                    '(width x height); correct the box, or restore the original image.')


def max_pixels_of(pipeline: Iterable) -> int | None:
    """``max_pixels`` of the :class:`LoadWSOLImage` among some transforms; None without one."""
    return next((step.max_pixels for step in pipeline if isinstance(step, LoadWSOLImage)), None)


@TRANSFORMS.register_module()
class SeedPerSample(BaseTransform):
    """Makes the augmentation of a sample a function of run, epoch and sample.

    As the first step of a training pipeline, it seeds ``random``, NumPy and
    PyTorch with (seed, epoch, ``sample_idx``). The augmentation then depends
    neither on the number of workers nor on when they were started, so a
    resumed run sees the same images as an uninterrupted one.

    :class:`EpochSeedHook` sets seed and epoch. Before that this transform does
    nothing. If a data set returns a sample twice in an epoch, as
    ``RepeatDataset`` does, both get the same augmentation.
    """

    def __init__(self):
        # in shared memory, so that persistent workers see the next epoch; -1 means not set
        self._clock = torch.tensor([0, -1]).share_memory_()

    def set_epoch(self, seed: int, epoch: int) -> None:
        """Sets the seed and epoch of the following samples.

        Args:
            seed (int): The run's seed, at least 0.
            epoch (int): The epoch about to start, at least 0.
        """
        self._clock.share_memory_()  # a copy of this transform is not shared yet
        self._clock.copy_(torch.tensor([seed, epoch]))

    @property
    def clock(self) -> tuple[int, int]:
        """Seed and epoch; (0, -1) before they are set."""
        return tuple(self._clock.tolist())

    def transform(self, results: dict) -> dict:
        seed, epoch = self.clock
        if epoch >= 0:
            seed_everything(seed, epoch, results['sample_idx'])
        return results


def seed_everything(*key: int, device: str = 'cpu') -> None:
    """Seeds ``random``, NumPy and PyTorch with a key of non-negative integers.

    Args:
        *key (int): The key.
        device (str): Device type; unless it is 'cpu', generators of other devices are seeded, too.
            Defaults to 'cpu'.
    """
    seeds = np.random.SeedSequence(key).generate_state(3).tolist()
    random.seed(seeds[0])
    np.random.seed(seeds[1])
    if device == 'cpu':  # torch.manual_seed takes ten times as long: it formats a traceback, too
        torch.default_generator.manual_seed(seeds[2])
    else:
        torch.manual_seed(seeds[2])
