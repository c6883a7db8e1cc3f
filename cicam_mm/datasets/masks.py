"""Masks of objects: what PxAP and the share of context are judged by."""
import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from cicam_mm.utils.errors import UserError
from cicam_mm.utils.io import read_bytes

from .images import MAX_PIXELS, naming_the_file, open_with_pillow

IGNORED = 255


@TRANSFORMS.register_module()
class LoadWSOLMask(BaseTransform):
    """Loads and merges the masks of an image's objects, as the reference evaluation does.

    The reference is "Evaluating Weakly Supervised Object Localization Methods Right" (CVPR 2020).
    Each file is read as grey values and resized to the current size of the image by nearest
    neighbour; pixels brighter than ``threshold`` are object. Objects override ignored regions.

    Load masks after the resizing of the whole image: the reference evaluates at the size of the
    network's input. Of an image without objects everything is ignored.

    Required keys: ``img_shape`` and ``ori_shape`` (H, W); ``instances``, each with a
    ``mask_path``; ``ignore_path`` (optional), the mask of pixels that do not count. Added keys:
    ``gt_mask`` (H, W) uint8, 1 object, 0 context, 255 ignored; and ``gt_bboxes``, see below.

    Args:
        threshold (float): Grey value above which a pixel is part of the mask.
        with_bbox (bool): Whether the bounding boxes of the objects become ``gt_bboxes`` (k, 4)
            float32, x0, y0, x1, y1 in pixels of the original image, ends exclusive, for data sets
            which have no other boxes.
        max_pixels (int): Most pixels of a mask. Defaults to 89,478,485, as in Pillow.

    Raises:
        OSError: If a mask cannot be read, or is too large.
        UserError: If the image has no mask.
    """

    def __init__(self,
                 threshold: float = 0.5,
                 with_bbox: bool = False,
                 max_pixels: int = MAX_PIXELS):
        self.threshold = threshold
        self.with_bbox = with_bbox
        self.max_pixels = max_pixels

    def transform(self, results: dict) -> dict:
        size, instances = results['img_shape'][:2], results.get('instances')
        paths = [i['mask_path'] for i in instances or () if i.get('mask_path')]
        if not paths and instances != []:
            raise UserError(
                f"Image '{results.get('img_path')}' has no mask to load; remove LoadWSOLMask from "
                'the pipeline, or use a data set with masks.')
        masks = [self._read(path) for path in paths]
        gt_mask = np.max([_resize(mask, size) for mask in masks], axis=0) if masks else np.full(
            size, IGNORED, np.uint8)
        if results.get('ignore_path'):
            ignored = _resize(self._read(results['ignore_path']), size)
            gt_mask[(ignored == 1) & (gt_mask == 0)] = IGNORED
        results['gt_mask'] = gt_mask
        if self.with_bbox:
            boxes = [_bounding_box(mask, results['ori_shape']) for mask in masks if mask.any()]
            results['gt_bboxes'] = np.array(boxes, np.float32).reshape(-1, 4)
        return results

    def _read(self, path: str) -> np.ndarray:
        with naming_the_file(path):
            content = read_bytes(path)
            open_with_pillow(content, self.max_pixels)
            grey = mmcv.imfrombytes(content, flag='grayscale', backend='cv2')
            return (grey > self.threshold).astype(np.uint8)


def _resize(mask, size):
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST)


def _bounding_box(mask, ori_shape):
    x, y, w, h = cv2.boundingRect(mask)
    scale = np.array(ori_shape[1::-1]) / mask.shape[::-1]
    return np.concatenate([scale * [x, y], scale * [x + w, y + h]])
