"""Score maps to objects: connected components with their masks, and GrabCut on the image."""
from typing import NamedTuple

import cv2
import numpy as np

from .box_rules import BoxRule, find_box, resize_maps, to_original
from .regions import everything, largest_box

#: GrabCut works on an image of at most this many pixels.
GRABCUT_PIXELS = 200_000
#: Where a map reaches this share of an object's maximum, GrabCut takes the object as certain.
CERTAIN = 0.8


class Instance(NamedTuple):
    """An object: ``box`` x0, y0, x1, y1 in pixels of the original image and ``mask``, bool.

    The mask covers the whole image, at the size of the map that was thresholded;
    :func:`resize_mask` makes one of the image.
    """
    box: np.ndarray
    mask: np.ndarray


def find_instances(score_map: np.ndarray,
                   rule: BoxRule,
                   theta: float,
                   img_shape: tuple,
                   ori_shape: tuple,
                   every: bool = True,
                   min_area: float = 0.) -> list[Instance]:
    """The components of the foreground of a score map, the largest first.

    Components are 4-connected if the rule's own regions are, otherwise 8-connected. A map without
    foreground gives one instance that fills the box of :func:`find_box`. Map, rule, theta and
    shapes are as in :func:`find_boxes`.

    Args:
        every (bool): Whether to return all components; otherwise the one region that the rule
            encloses.
        min_area (float): Least area as a share of the image; the largest component always stays.
    """
    resized, = resize_maps(score_map[None], rule, img_shape, ori_shape)
    foreground = rule.mask(resized, theta)
    if not foreground.any():
        boxes = [find_box(resized, rule, theta)]
        masks = [_filled(boxes[0], resized.shape)]
    else:
        masks = components(foreground, 4 if rule.region is largest_box else 8)
        if every:
            masks = [masks[0], *(mask for mask in masks[1:] if mask.mean() >= min_area)]
        else:
            own = rule.region(foreground)
            masks = [mask for mask in masks if (everything(mask) == own).all()][:1] or [foreground]
        boxes = [rule.ends(everything(mask), mask.shape) for mask in masks]
    if not rule.original_size:
        boxes = [*to_original(np.array(boxes), rule, img_shape, ori_shape)]
    return [*map(Instance, boxes, masks)]


def components(foreground: np.ndarray, connectivity: int = 8) -> list[np.ndarray]:
    """Masks (H, W) of the connected components of a mask, the largest first."""
    count, labels = cv2.connectedComponents(foreground.astype(np.uint8), connectivity=connectivity)
    return sorted((labels == label for label in range(1, count)), key=np.sum, reverse=True)


def resize_mask(instance: Instance, ori_shape: tuple) -> np.ndarray:
    """The mask in pixels of the original image; one that is below a pixel there fills its box."""
    mask = _resize(instance.mask, ori_shape)
    return mask if mask.any() else _filled(instance.box, ori_shape)


def refine_by_grabcut(image: np.ndarray, score_map: np.ndarray, instance: Instance,
                      ori_shape: tuple) -> Instance:
    """Fit an instance to the edges of its image by OpenCV's GrabCut.

    Its mask is probably the object, and certainly where the map reaches ``CERTAIN`` of its maximum
    in the mask; the rest of its box is probably background, and all else certainly. Pieces of the
    result without a certain pixel are dropped. Where fewer than five pixels are object, or fewer
    than five background, the instance stays as it is.

    Args:
        image (np.ndarray): The whole image, RGB, uint8, (h, w, 3), maybe reduced in size.
        score_map (np.ndarray): Shape (h, w), of the whole image, at any size.
        ori_shape (tuple): (H, W) of the original image, in whose pixels boxes are.
    """
    height, width = image.shape[:2]
    scale = min(1, (GRABCUT_PIXELS / (height * width))**0.5)
    shape = max(1, round(scale * height)), max(1, round(scale * width))
    image = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
    mask, heat = _resize(instance.mask, shape), cv2.resize(score_map, shape[::-1])
    box = instance.box * np.divide(shape[::-1] * 2, ori_shape[1::-1] * 2)
    state = np.full(shape, cv2.GC_BGD, np.uint8)
    state[_filled(np.rint(box).astype(int), shape)] = cv2.GC_PR_BGD
    state[mask] = cv2.GC_PR_FGD
    certain = mask & (heat >= CERTAIN * heat.max(initial=-np.inf, where=mask))
    state[certain] = cv2.GC_FGD
    if np.bincount((state & 1).ravel(), minlength=2).min() < 5:
        return instance
    cv2.setRNGSeed(0)  # the same for an image in any batch
    cv2.grabCut(image, state, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 5,
                cv2.GC_INIT_WITH_MASK)
    _, labels = cv2.connectedComponents(state & 1)
    mask = np.isin(labels, labels[certain])
    return Instance(everything(_resize(mask, ori_shape)), mask)


def _filled(box, shape):
    mask = np.zeros(shape, bool)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = True
    return mask


def _resize(mask, size):
    return cv2.resize(mask.astype(np.float32), size[1::-1]) > 0.5
