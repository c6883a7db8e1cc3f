"""The figure that compares methods: image | CAM | NL-CCAM | CI-CAM."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from mmpretrain.structures import DataSample

from cicam_mm.localization.overlap import as_boxes, box_iou

from .caption import WHITE, centered, draw_color_bar, draw_text, flow
from .overlay import STYLES, Style, color_table, draw_panel
from .visualizer import foreground_of

#: Maximum height of a panel as a multiple of its width; taller images get white sides.
MAX_ASPECT = 1.25


class Localized(NamedTuple):
    """What a method predicts for an image.

    ``method`` is the heading of the column; ``score_map`` (h, w) covers the whole image; ``box``
    is x0, y0, x1, y1 in the same pixels as the ground truth; ``foreground``, a mask of the whole
    image, is outlined.
    """
    method: str
    score_map: np.ndarray | None
    box: Sequence[float]
    foreground: np.ndarray | None = None


def localized(method: str, sample: DataSample) -> Localized:
    """The prediction of a method, with the thresholded map as foreground."""
    score_map = sample.score_map.numpy() if 'score_map' in sample else None
    return Localized(method, score_map, sample.pred_box.numpy(), foreground_of(sample))


class Example(NamedTuple):
    """An image with the predictions of all methods: a row of the figure.

    ``image`` is RGB or grey, uint8; ``truths`` (k, 4) are the ground-truth boxes, or empty;
    ``caption``, the class for example, stands under the image. If ``image`` was reduced in size,
    ``frame`` is the height and width of the original, in whose pixels the boxes are.
    """
    image: np.ndarray
    truths: Sequence
    localized: Sequence[Localized]
    caption: str = ''
    frame: tuple | None = None


def draw_comparison(examples: Sequence[Example], style: Style = STYLES['paper'],
                    width: int = 900) -> np.ndarray:
    """Draw a row of panels for each image: the image, then overlay and box of each method.

    Below each overlay is the best IoU of its box with a ground-truth box, if there is one. All
    examples need the same methods in the same order. The ``width`` in pixels determines all other
    sizes.
    """
    methods, = {tuple(found.method for found in example.localized) for example in examples}
    gap = max(2, width // 90)
    cell_width = (width - gap) // (len(methods) + 1) - gap
    font_size = max(8, min(width // 60, cell_width // 9))  # "IoU 0.50" fits below many methods
    bands = [band([text_cell(title, font_size, cell_width, bold=True)
                   for title in ('Image', *methods)], gap, width)]
    for image, truths, results, caption, frame in examples:
        size = panel_size(image.shape, cell_width)
        panel = draw_panel(image, size, style, None, truths, (), frame)
        cells = [captioned(panel, caption, font_size, cell_width, gap)]
        for _, score_map, box, outlined in results:
            panel = draw_panel(image, size, style, score_map, truths, box, frame, outlined)
            iou = f'IoU {box_iou(box, truths).max():.2f}' if len(as_boxes(truths)) else ''
            cells.append(captioned(panel, iou, font_size, cell_width, gap))
        bands.append(band(cells, gap, width))
    legend = [draw_text('ground truth', font_size, width, frame=style.truth),
              draw_text('prediction', font_size, width, frame=style.prediction),
              draw_color_bar(color_table(style), font_size)]
    return np.concatenate([*bands, flow(legend, width, font_size)])


def panel_size(shape: Sequence[int], width: int) -> tuple[int, int]:
    """Height and width of a panel with an undistorted image, at most ``width`` wide."""
    scale = min(width / shape[1], MAX_ASPECT * width / shape[0])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def text_cell(text: str, font_size: int, width: int, bold: bool = False) -> np.ndarray:
    """Draw one line of text centred in a cell of the given width."""
    picture = draw_text(text, font_size, width, bold=bold)
    return centered(picture, len(picture), width)


def captioned(panel: np.ndarray, caption: str, font_size: int, width: int,
              gap: int) -> np.ndarray:
    """A cell of the given width: a panel, its caption, and a gap below."""
    return np.concatenate([centered(panel, len(panel), width),
                           text_cell(caption, font_size, width),
                           np.full((gap, width, 3), WHITE, np.uint8)])


def band(cells: Sequence[np.ndarray], gap: int, width: int) -> np.ndarray:
    """Arrange cells of equal size from left to right with gaps, centred in the figure."""
    height, cell_width = cells[0].shape[:2]
    padded = [centered(cell, height, cell_width + gap) for cell in cells]
    return centered(np.concatenate(padded, axis=1), height, width)


def random_images(num_images: int, count: int, seed: int = 0) -> list[int]:
    """Random distinct indices in ascending order; all indices if there are fewer."""
    rng = np.random.default_rng(seed)
    return sorted(rng.choice(num_images, min(count, num_images), replace=False).tolist())


def most_improved(ious: np.ndarray, count: int) -> list[int]:
    """Images on which the last of several methods improves most over the best of the others.

    Of IoUs (methods, images); the largest improvement comes first, and images without any are
    left out.
    """
    gain = ious[-1] - ious[:-1].max(axis=0)
    order = np.argsort(-gain, kind='stable')[:count]
    return order[gain[order] > 0].tolist()


def worst_images(ious: np.ndarray, count: int) -> list[int]:
    """Indices of the lowest IoUs, the lowest first, from IoUs of shape (images, )."""
    return np.argsort(ious, kind='stable')[:count].tolist()
