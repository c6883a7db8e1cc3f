"""Preparing batches of images with the test pipeline of a config."""
from collections.abc import Callable, Sequence

import numpy as np
from mmengine.dataset import default_collate

from cicam_mm.errors import UserError


def prepare(pipeline: Callable[[dict], dict], image: np.ndarray, ori_shape: tuple[int, int],
            **info) -> dict:
    """Pass an image through a pipeline.

    Args:
        pipeline (Callable): The test pipeline without the transform that loads images.
        image (np.ndarray): RGB, uint8, (h, w, 3).
        ori_shape (tuple[int, int]): Height and width of the whole image, which boxes refer to;
            those of ``image`` unless that was reduced as it was decoded.
        **info: Further entries of the dict that the pipeline is given.

    Returns:
        dict: ``inputs`` and ``data_samples``.
    """
    # pipelines change the dict they are given, and some the array
    return pipeline(dict(info, img=image[..., ::-1].copy(), img_shape=image.shape[:2],
                         ori_shape=ori_shape, instances=[]))


def collate(prepared: Sequence[dict]) -> dict:
    """Combine results of :func:`prepare` into a batch.

    Raises:
        UserError: If the images differ in size.
    """
    try:
        return default_collate(prepared)
    except RuntimeError as error:
        if 'equal size' not in str(error):
            raise
        raise UserError('the test pipeline of this config gives images of different sizes, which '
                        'cannot be batched; use --batch-size 1.') from error
