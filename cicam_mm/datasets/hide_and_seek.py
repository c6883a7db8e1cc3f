from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from cicam_mm.errors import UserError


@TRANSFORMS.register_module()
class HideAndSeek(BaseTransform):
    """Hides random cells of a training image (HaS, ICCV 2017), behind all other augmentation.

    The image is cut into square cells, the last of a row or column smaller where need be, and
    each is filled with the mean colour with a probability, by itself. Network, loss and testing
    are CAM's.

    Behind :class:`SeedPerSample` the cells follow from run, epoch and image. The image becomes
    float32, so that what is hidden is exactly zero once the mean is subtracted. Required and
    modified key: ``img`` (H, W, 3).

    Args:
        sides (Sequence[int]): Cell sides in pixels, one of which is drawn for each image; 0
            hides nothing. Defaults to (32, ), the release's default; its "mixed" variant is
            (0, 16, 32, 44, 56). In "Evaluating WSOL Methods Right" the default is 4 pixels.
        prob (float): Probability that a cell is hidden, in [0, 1]. Defaults to 0.5, as released.
        mean (Sequence[float]): The mean that the data preprocessor subtracts, in the image's
            order of channels, BGR. Defaults to ImageNet's.

    Raises:
        ValueError: If a side is negative or not an integer, or ``prob`` is outside [0, 1].
    """

    def __init__(self,
                 sides: Sequence[int] = (32, ),
                 prob: float = 0.5,
                 mean: Sequence[float] = (103.53, 116.28, 123.675)):
        if not sides or not all(isinstance(side, int) and side >= 0 for side in sides):
            raise UserError(f'sides of HideAndSeek are pixels, 0 or more, got {sides}.')
        if not 0 <= prob <= 1:
            raise UserError(f'prob is a share in [0, 1], got {prob}.')
        self.sides = sides
        self.prob = prob
        self.mean = np.array(mean, np.float32)

    def transform(self, results: dict) -> dict:
        side = int(np.random.choice(self.sides))
        if side:
            image = results['img']
            draws = np.random.random_sample([-(-size // side) for size in image.shape[:2]])
            hidden = hidden_cells(draws, side, self.prob, image.shape[:2])
            results['img'] = np.where(hidden[..., None], self.mean, image).astype(np.float32)
        else:
            results['img'] = results['img'].astype(np.float32)
        return results


def hidden_cells(draws: np.ndarray, side: int, prob: float, size: Sequence[int]) -> np.ndarray:
    """The pixels of an image whose cell is hidden.

    Args:
        draws (np.ndarray): A number in [0, 1) for each cell, (rows, columns); hidden are those
            of at most ``prob``.
        side (int): Side of a cell in pixels, at least 1.
        prob (float): Probability that a cell is hidden; 0 hides nothing, whatever is drawn.
        size (Sequence[int]): (H, W) of the image.

    Returns:
        np.ndarray: Shape (H, W), bool.
    """
    cells = (draws <= prob) & (prob > 0)
    return cells.repeat(side, axis=0).repeat(side, axis=1)[:size[0], :size[1]]
