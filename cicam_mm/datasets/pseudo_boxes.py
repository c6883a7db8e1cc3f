"""Training with boxes that another method predicted."""
from os.path import normpath

import numpy as np
from mmcv.image import imresize
from mmcv.transforms import BaseTransform
from mmpretrain.datasets import RandomResizedCrop
from mmpretrain.registry import TRANSFORMS

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import read_json_mapping


@TRANSFORMS.register_module()
class LoadPseudoBoxes(BaseTransform):
    """Gives a training image the box that was predicted for it.

    Required key: ``img_path``. Added key: ``gt_bboxes`` (1, 4), in pixels of the image.

    Args:
        ann_file (str): ``annotations.json`` of tools/infer.py, run on the training images with
            their labels.
    """

    def __init__(self, ann_file: str):
        self.ann_file = ann_file
        content = read_json_mapping(ann_file)
        try:
            names = {image['id']: normpath(image['file_name']) for image in content['images']}
            self._boxes = {names[each['image_id']]: tuple(map(float, each['bbox']))
                           for each in content['annotations']}
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f'{ann_file} is not a list of annotations as tools/infer.py writes it '
                            f'({error!r}); make it again.') from error

    def transform(self, results: dict) -> dict:
        path = results['img_path']
        if normpath(path) not in self._boxes:
            raise UserError(f'{self.ann_file} has no box for {path}; run tools/infer.py on all '
                            'training images, with the same paths as in the data set.')
        x, y, w, h = self._boxes[normpath(path)]
        results['gt_bboxes'] = np.array([[x, y, x + w, y + h]], np.float32)
        return results


@TRANSFORMS.register_module()
class RandomResizedCropWithBoxes(RandomResizedCrop):
    """mmpretrain's random resized crop, with which the boxes move (PSOL, CVPR 2020).

    A window that cuts the first box away is drawn again, up to ``attempts`` windows in all, 30 as
    released; then it is the central one. The output is a square of side ``scale``.

    Required and modified keys: ``img``, ``gt_bboxes`` (k, 4).
    """

    def __init__(self, scale: int, attempts: int = 30, **kwargs):
        super().__init__(scale, **kwargs)
        self.attempts = attempts
        self.central = RandomResizedCrop(scale, **kwargs | dict(max_attempts=0))

    def transform(self, results: dict) -> dict:
        img, side = results['img'], self.scale[0]
        for _ in range(self.attempts):
            window = self.rand_crop_params(img)
            x0, y0, x1, y1 = boxes_in_window(results['gt_bboxes'], window, side)[0]
            if x0 < x1 and y0 < y1:
                break
        else:
            window = self.central.rand_crop_params(img)
        top, left, height, width = window
        results['img'] = imresize(
            img[top:top + height, left:left + width], (side, side),
            interpolation=self.interpolation, backend=self.backend)
        results['img_shape'] = results['img'].shape[:2]
        results['gt_bboxes'] = boxes_in_window(results['gt_bboxes'], window, side)
        return results


def boxes_in_window(boxes: np.ndarray, window: tuple, side: int) -> np.ndarray:
    """Boxes (k, 4) in a window (top, left, height, width) of the same pixels, cut at its borders.

    The window is resized to a square of the given side, in whose pixels the result is.
    """
    top, left, height, width = window
    shares = (boxes.reshape(-1, 2, 2) - (left, top)) / (width, height)
    return (shares.clip(0, 1) * side).reshape(-1, 4).astype(np.float32)
