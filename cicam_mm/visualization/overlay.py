"""Drawing score maps and boxes on images.

Pictures are RGB, uint8, shape (H, W, 3). Boxes are x0, y0, x1, y1 with exclusive ends, in pixels
of the image they belong to.
"""
from dataclasses import dataclass

import cv2
import matplotlib
import numpy as np
from numpy.typing import ArrayLike

from cicam_lite.resizing import normalize_map
from cicam_mm.localization.overlap import as_boxes
from cicam_mm.utils.errors import UserError


@dataclass(frozen=True)
class Style:
    """How a picture looks.

    Attributes:
        truth: RGB of the ground-truth boxes; by default red, as in the paper's Figure 5.
        prediction: RGB of the predicted boxes; by default green, as in that figure.
        color_map: One of matplotlib; 'inferno' is perceptually uniform and has no green.
        alpha: Opacity of the colour map in the overlay, in [0, 1].
        beside: Whether :func:`draw_sample` shows the image itself beside the overlay.
    """
    truth: tuple = (255, 40, 40)
    prediction: tuple = (40, 230, 70)
    color_map: str = 'inferno'
    alpha: float = 0.5
    beside: bool = False


STYLES = {
    'paper': Style(),
    # Orange and blue of Okabe and Ito's palette; cividis suits most colour vision deficiencies.
    'color_blind': Style(truth=(230, 159, 0), prediction=(86, 180, 233), color_map='cividis'),
}


def get_style(style: str | dict) -> Style:
    """Look up a style by name, or create one from its attributes."""
    if isinstance(style, dict):
        return Style(**style)
    if style not in STYLES:
        raise UserError(f'unknown style {style!r}; known are {", ".join(STYLES)}, or give a dict '
                        'of the attributes of Style.')
    return STYLES[style]


def three_channels(image: np.ndarray) -> np.ndarray:
    """Convert a grey image, (H, W) or (H, W, 1), to three channels; keep a colour image."""
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return image
    if image.dtype == np.uint8 and image.ndim in (2, 3) and image.shape[2:] in ((), (1, )):
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    raise UserError('an image to draw on must be uint8 of shape (H, W, 3) or (H, W), not '
                    f'{image.dtype} of shape {image.shape}.')


def color_table(style: Style) -> np.ndarray:
    """The 256 colours of the style's colour map, lowest first, (256, 3) uint8."""
    return matplotlib.colormaps[style.color_map](np.linspace(0, 1, 256), bytes=True)[:, :3]


def draw_overlay(image: np.ndarray, score_map: np.ndarray, style: Style) -> np.ndarray:
    """Blend a score map (h, w), which covers the whole image, over it.

    The map is normalized to the range of the colour map and resized bilinearly; one that is not
    finite is drawn like a constant one, in the lowest colour.
    """
    score_map = np.asarray(score_map, np.float64)
    if not np.isfinite(score_map).all():
        score_map = np.zeros_like(score_map)
    levels = cv2.resize(normalize_map(score_map), image.shape[1::-1])
    colors = color_table(style)[np.rint(levels * 255).astype(np.uint8)]
    return cv2.addWeighted(image, 1 - style.alpha, colors, style.alpha, 0)


def draw_boxes(image: np.ndarray, truths: ArrayLike, predictions: ArrayLike, style: Style,
               foreground: np.ndarray | None = None) -> np.ndarray:
    """Draw boxes (k, 4) with dark outlines, which make them visible on any background.

    Lines are inside the boxes, and striped in both colours where a ground-truth and a predicted
    box coincide. Boxes that extend outside the image are clipped. ``foreground``, a mask (h, w)
    of the whole image, is outlined thinly in the colour of predictions.
    """
    thickness = line_width(image.shape)
    truth = _outlines(image.shape, truths, thickness)
    prediction = _outlines(image.shape, predictions, thickness)
    if foreground is not None:
        prediction |= _contours(image.shape, foreground, max(1, thickness // 2)) & ~truth
    lines = truth | prediction
    seam = 1 + 2 * ((thickness + 1) // 2)
    dark = cv2.dilate(lines.view(np.uint8), np.ones((seam, seam), np.uint8)).astype(bool) & ~lines

    drawn = image.copy()
    drawn[dark] = drawn[dark] * 0.35
    drawn[truth] = style.truth
    drawn[prediction] = style.prediction
    y, x = np.nonzero(truth & prediction)
    is_truth = (x + y) // (4 * thickness) % 2 == 0
    drawn[y[is_truth], x[is_truth]] = style.truth
    return drawn


def line_width(shape: tuple) -> int:
    """Width of a box's line in pixels: a 120th of the shorter side of the image, at least 2."""
    return max(2, round(min(shape[:2]) / 120))


def draw_panel(image: np.ndarray, size: tuple, style: Style, score_map: np.ndarray | None = None,
               truths: ArrayLike = (), predictions: ArrayLike = (), frame: tuple | None = None,
               foreground: np.ndarray | None = None) -> np.ndarray:
    """Scale an image to a size (H, W), then lay a map and boxes over it, so that lines stay crisp.

    See :func:`draw_overlay` and :func:`draw_boxes`. Where ``image`` is a reduced one, ``frame`` is
    the height and width of the whole image, in whose pixels the boxes are.
    """
    height, width = image.shape[:2]
    shrinks = size[0] * size[1] < height * width
    panel = cv2.resize(three_channels(image), size[::-1],
                       interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    if score_map is not None:
        panel = draw_overlay(panel, score_map, style)
    height, width = frame or (height, width)
    scale = np.array([size[1] / width, size[0] / height] * 2)
    return draw_boxes(panel, as_boxes(truths) * scale, as_boxes(predictions) * scale, style,
                      foreground)


def _outlines(shape, boxes, thickness):
    height, width = shape[:2]
    mask = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in np.rint(as_boxes(boxes)).astype(int):
        x0, y0 = np.clip((x0, y0), 0, (width - 1, height - 1))
        x1, y1 = np.clip((x1, y1), (x0 + 1, y0 + 1), (width, height))
        box = mask[y0:y1, x0:x1]
        for edge in (box[:thickness], box[-thickness:], box[:, :thickness], box[:, -thickness:]):
            edge[:] = True
    return mask


def _contours(shape, foreground, thickness):
    smooth = cv2.resize(foreground.astype(np.float32), shape[1::-1])
    contours, _ = cv2.findContours((smooth > 0.5).view(np.uint8), cv2.RETR_LIST,
                                   cv2.CHAIN_APPROX_NONE)
    mask = np.zeros(shape[:2], np.uint8)
    return cv2.drawContours(mask, contours, -1, 1, thickness).astype(bool)
