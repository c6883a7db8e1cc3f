"""Score maps to boxes, by the rules of the published methods."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .foreground import (
    above_theta,
    above_theta_and_mean,
    above_theta_of_cubehelix,
    above_theta_of_percentile,
    above_theta_of_uint8,
    at_least_theta,
)
from .regions import (
    capped,
    everything,
    exclusive,
    inclusive,
    largest_box,
    largest_contour,
    largest_region,
)
from .resizing import resize


@dataclass(frozen=True)
class BoxRule:
    """How to turn a score map into a box.

    ==================== ============================================================ ========
    rule                 foreground; region; ends                                     resizing
    ==================== ============================================================ ========
    ``ci_cam``           above theta * max, then above the mean of what is kept;      bilinear
                         4-connected region with the largest box; exclusive
                         (CI-CAM, MM 2021)
    ``nl_ccam``          the same, but rounded in the original image, where all       bilinear
                         others truncate (NL-CCAM, WACV 2020)
    ``wsoleval``         8 bit, above int(theta * max); contour of the largest area;  bilinear
                         exclusive, but at most size - 1 (wsolevaluation, CVPR 2020)
    ``wsoleval_bicubic`` the same, resized as in wsolevaluation and                   bicubic
                         :class:`MaxBoxAcc`: the boxes MaxBoxAcc judges at theta
    ``ts_cam``           8 bit, above int(theta * max); contour of the largest area;  bilinear
                         exclusive (TS-CAM, ICCV 2021)
    ``adl``              the same, on the grey values of the map coloured by          bilinear
                         cubehelix (ADL, CVPR 2019)
    ``rethinking``       8 bit, above int(theta * 90th percentile); contour of the    bicubic
                         largest area; exclusive (Rethinking-CAM, ECCV 2020)
    ``eil``              8 bit, above int(theta * max); all foreground; inclusive     bicubic
                         (EIL, CVPR 2020)
    ``danet``            at least theta, of the map stretched to [0, 1] before        bilinear
                         resizing; all foreground; inclusive; at the size of the
                         original image (DANet, ICCV 2019)
    ``bas``              above theta, of the map stretched to [0, 1] before           bilinear
                         resizing; 8-connected region of the most pixels; exclusive
                         (BAS, CVPR 2022)
    ``ddt``              above theta, in the map's own units; 8-connected region of   nearest
                         the most cells; exclusive; rounded up in the original image
                         (DDT as in PSOL, CVPR 2020)
    ==================== ============================================================ ========

    For a map without foreground the box is the whole image; following the originals, it is
    0, 0, 1, 1 with ``ts_cam`` and ``adl`` and 0, 0, 0, 0 with ``wsoleval_bicubic``.

    Attributes:
        foreground: (score map, theta) -> bool mask of the same shape.
        region: Non-empty mask -> box x0, y0, x1, y1 in pixels of the map, ends exclusive.
        ends: (box, shape of the map) -> box with ends as the rule defines them.
        empty: Box, in pixels of the map, of a map without foreground; None is the whole map.
        resizing: How maps are resized: 'bilinear', 'bicubic' (OpenCV's), 'nearest', or
            'stretched', which is bilinear after stretching to [0, 1].
        original_size: Whether to resize maps to the size of the original image rather than to
            that of the network's input when boxes are in pixels of the original image.
        rounding: Function that rounds coordinates in the original image to integers.
    """
    foreground: Callable
    region: Callable
    ends: Callable = exclusive
    empty: tuple | None = None
    resizing: str = 'bilinear'
    original_size: bool = False
    rounding: Callable = np.trunc

    def mask(self, score_map: np.ndarray, theta: float) -> np.ndarray:
        """The foreground; none in a map that is not finite."""
        if not np.isfinite(score_map).all():
            return np.zeros(score_map.shape, bool)
        return self.foreground(score_map, theta)


WSOLEVAL = BoxRule(above_theta_of_uint8, largest_contour, capped)

BOX_RULES = {
    'ci_cam': BoxRule(above_theta_and_mean, largest_box),
    'nl_ccam': BoxRule(above_theta_and_mean, largest_box, rounding=np.rint),
    'wsoleval': WSOLEVAL,
    'wsoleval_bicubic': replace(WSOLEVAL, resizing='bicubic', empty=(0, 0, 0, 0)),
    'ts_cam': BoxRule(above_theta_of_uint8, largest_contour, empty=(0, 0, 1, 1)),
    'adl': BoxRule(above_theta_of_cubehelix, largest_contour, empty=(0, 0, 1, 1)),
    'rethinking': BoxRule(above_theta_of_percentile, largest_contour, resizing='bicubic'),
    'eil': BoxRule(above_theta_of_uint8, everything, inclusive, resizing='bicubic'),
    'danet': BoxRule(at_least_theta, everything, inclusive, resizing='stretched',
                     original_size=True),
    'bas': BoxRule(above_theta, largest_region, resizing='stretched'),
    'ddt': BoxRule(above_theta, largest_region, resizing='nearest', rounding=np.ceil),
}


def get_box_rule(rule: str | dict) -> BoxRule:
    """Look up a rule by its name, or ``dict(type=name, ...)`` with values of :class:`BoxRule`."""
    options = dict(type=rule) if isinstance(rule, str) else dict(rule)
    name = options.pop('type')
    if name not in BOX_RULES:
        raise ValueError(f'unknown box rule {name!r}; known are {", ".join(BOX_RULES)}.')
    return replace(BOX_RULES[name], **options)


def find_boxes(maps: np.ndarray,
               rule: BoxRule,
               theta: float,
               img_shape: tuple,
               ori_shape: tuple | None = None) -> np.ndarray:
    """Boxes x0, y0, x1, y1, (k, 4), int64, of the score maps (k, h, w) of one image.

    Args:
        theta (float): Threshold as a share of a map's maximum.
        img_shape (tuple): (H, W) of the network's input.
        ori_shape (tuple, optional): (H, W) of the original image, which was resized as a whole
            to the network's input; boxes are then in its pixels. If None, they are in pixels of
            the network's input.
    """
    return sweep_boxes(maps, rule, [theta], img_shape, ori_shape)[0]


def sweep_boxes(maps: np.ndarray,
                rule: BoxRule,
                thetas: Sequence[float],
                img_shape: tuple,
                ori_shape: tuple | None = None) -> np.ndarray:
    """The boxes of :func:`find_boxes` at each of T thresholds, shape (T, k, 4), resized once."""
    resized = resize_maps(maps, rule, img_shape, ori_shape)
    boxes = np.stack([[find_box(score_map, rule, theta) for score_map in resized]
                      for theta in thetas])
    if ori_shape is None or rule.original_size:
        return boxes
    return to_original(boxes, rule, img_shape, ori_shape)


def resize_maps(maps: np.ndarray, rule: BoxRule, img_shape: tuple,
                ori_shape: tuple | None = None) -> np.ndarray:
    """Maps (k, h, w) at the size where the rule thresholds them; see :func:`find_boxes`."""
    size = ori_shape if rule.original_size and ori_shape else img_shape
    return resize(maps, size, rule.resizing)


def find_box(score_map: np.ndarray, rule: BoxRule, theta: float) -> np.ndarray:
    """Box of one resized score map (H, W), minimum 0: x0, y0, x1, y1 in its pixels, int64.

    If nothing is foreground, as in a constant or non-finite map, it is the box that the rule
    defines for that case.
    """
    height, width = score_map.shape
    foreground = rule.mask(score_map, theta)
    if foreground.any():
        return rule.ends(rule.region(foreground), score_map.shape).astype(np.int64)
    return np.array(rule.empty or (0, 0, width, height))


def to_original(boxes: np.ndarray, rule: BoxRule, img_shape, ori_shape) -> np.ndarray:
    """Scale boxes (..., 4) from the network's input, the whole image resized, to that image.

    Shapes are (H, W). The rule rounds; the boxes, int64, are clipped to the image.
    """
    size, ori_size = np.array(img_shape[1::-1] * 2), np.array(ori_shape[1::-1] * 2)
    return rule.rounding(np.clip(boxes * ori_size / size, 0, ori_size)).astype(np.int64)
