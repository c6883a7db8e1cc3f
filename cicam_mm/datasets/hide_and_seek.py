from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from cicam_mm.utils.errors import UserError


@TRANSFORMS.register_module()
class HideAndSeek(BaseTransform):
    """Hides random cells of a training image (HaS, ICCV 2017); place it after other augmentation.

    The image is divided into square cells; the last of a row or column may be smaller. Each cell
    is independently filled with the mean colour with a given probability. Network, loss and
    testing are the same as CAM's.

    The image becomes float32, so hidden pixels are exactly zero after the mean is subtracted.
    Required and modified key: ``img`` (H, W, 3).

    Args:
        sides (Sequence[int]): Cell sides in pixels, one of which is drawn for each image; 0
            hides nothing. Defaults to (32, ), the release's default; its "mixed" variant is
            (0, 16, 32, 44, 56). In "Evaluating WSOL Methods Right" the default is 4 pixels.
        prob (float): Probability that a cell is hidden. Defaults to 0.5, as in the release.
        mean (Sequence[float]): The mean that the data preprocessor subtracts, BGR. Defaults to
            ImageNet's.
    """

    def __init__(self,
                 sides: Sequence[int] = (32, ),
                 prob: float = 0.5,
                 mean: Sequence[float] = (103.53, 116.28, 123.675)):
        if not 0 <= prob <= 1:
            raise UserError(f'prob must be a probability in [0, 1], got {prob}.')
        self.sides = sides
        self.prob = prob
        self.mean = np.array(mean, np.float32)

    def transform(self, results: dict) -> dict:
        image = results['img'].astype(np.float32)
        if side := int(np.random.choice(self.sides)):
            draws = np.random.random_sample([-(-size // side) for size in image.shape[:2]])
            image[hidden_cells(draws, side, self.prob, image.shape[:2])] = self.mean
        return dict(results, img=image)


def hidden_cells(draws: np.ndarray, side: int, prob: float, size: Sequence[int]) -> np.ndarray:
    """A mask (H, W) of the pixels in hidden cells: those whose number in [0, 1) of ``draws``
    (rows, columns) is at most ``prob``; a probability of 0 hides nothing in any case.
    """
    cells = (draws <= prob) & (prob > 0)
    return cells.repeat(side, axis=0).repeat(side, axis=1)[:size[0], :size[1]]
