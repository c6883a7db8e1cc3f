"""Loading of images with boxes, and reproducible augmentation."""
import random

import numpy as np
import torch
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmpretrain.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadWSOLImage(LoadImageFromFile):
    """Loads an image and checks that its boxes lie inside it.

    A box may reach over the border by one pixel: some lists round up or count
    from 1.

    Required keys: ``img_path``, ``instances`` (optional). Added keys: ``img``
    (H, W, 3) uint8, BGR; ``img_shape`` and ``ori_shape`` (H, W).

    Args:
        color_type (str): As for mmcv's ``LoadImageFromFile``. Defaults to
            'color_ignore_orientation', since WSOL boxes are drawn in the frame
            of the stored pixels; 'color' would turn an image by its EXIF tag,
            and not its boxes.
        **kwargs: Other arguments of ``LoadImageFromFile``.

    Raises:
        OSError: The image cannot be read.
        ValueError: A box lies outside the image.
    """

    def __init__(self, color_type: str = 'color_ignore_orientation', **kwargs):
        super().__init__(color_type=color_type, **kwargs)

    def transform(self, results: dict) -> dict | None:
        path = results['img_path']
        try:
            results = super().transform(results)
        except FileNotFoundError:
            raise FileNotFoundError(f"Image '{path}' does not exist; restore it, or take it out "
                                    'of the annotation lists.') from None
        except Exception as error:
            raise OSError(
                f"Image '{path}' cannot be read (missing rights, or empty, cut off or no image "
                'at all); restore it, or take it out of the annotation lists.') from error
        if results is not None:  # None: the option ignore_empty
            self._check_boxes(results)
        return results

    @staticmethod
    def _check_boxes(results: dict) -> None:
        height, width = results['ori_shape']
        for instance in results.get('instances', ()):
            x0, y0, x1, y1 = instance['bbox']
            if min(x0, y0) < -1 or x1 > width + 1 or y1 > height + 1:
                raise ValueError(
                    f"Box {[x0, y0, x1, y1]} (x0, y0, x1, y1) of image '{results['img_path']}' "
                    f'reaches outside the image of {width} x {height} pixels (width x height); '
                    'correct the box, or restore the image it was drawn in.')


@TRANSFORMS.register_module()
class SeedPerSample(BaseTransform):
    """Makes the augmentation of a sample a function of run, epoch and sample.

    Placed first in a training pipeline, it seeds ``random``, NumPy and PyTorch
    from (seed, epoch, ``sample_idx``). What follows then depends neither on the
    number of workers nor on when they were started, so that a resumed run sees
    the same images as an undisturbed one.

    :class:`EpochSeedHook` tells it seed and epoch. Until then it does nothing:
    the pipeline is as random as it would be without it. A data set which shows
    a sample twice in an epoch (``RepeatDataset``) shows it in the same way.
    """

    def __init__(self):
        # Shared memory, so that persistent workers see the next epoch; -1: not set.
        self._clock = torch.tensor([0, -1]).share_memory_()

    def set_epoch(self, seed: int, epoch: int) -> None:
        """Sets what the following samples are seeded with.

        Args:
            seed (int): The run's seed, at least 0.
            epoch (int): The epoch about to start, at least 0.
        """
        self._clock.share_memory_()  # a copy of the transform does not share its memory
        self._clock.copy_(torch.tensor([seed, epoch]))

    def transform(self, results: dict) -> dict:
        seed, epoch = self._clock.tolist()
        if epoch >= 0:
            seed_everything(seed, epoch, results['sample_idx'])
        return results


def seed_everything(*key: int) -> None:
    """Seeds ``random``, NumPy and PyTorch from a key of non-negative integers."""
    seeds = np.random.SeedSequence(key).generate_state(3).tolist()
    random.seed(seeds[0])
    np.random.seed(seeds[1])
    torch.manual_seed(seeds[2])
