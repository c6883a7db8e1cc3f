"""The figure that compares methods: image | CAM | NL-CCAM | CI-CAM."""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cicam_mm.localization.overlap import as_boxes, box_iou
from cicam_mm.utils.errors import UserError

from .caption import WHITE, centered, draw_color_bar, draw_text, flow
from .overlay import STYLES, Style, color_table, draw_panel

#: Maximum height of a panel as a multiple of its width; taller images get white sides.
MAX_ASPECT = 1.25


class Result(NamedTuple):
    """The prediction of a method for an image.

    ``name`` is the heading of the column; ``score_map`` (h, w) covers the whole image; ``box`` is
    x0, y0, x1, y1 in the same pixels as the ground truth.
    """
    name: str
    score_map: np.ndarray
    box: Sequence[float]


class Row(NamedTuple):
    """An image with the results of all methods.

    ``image`` is RGB or grey, uint8; ``truths`` (k, 4) are the ground-truth boxes, or empty;
    ``results`` are those of all methods, in the order of the columns; ``caption``, the class for
    example, stands under the image. If ``image`` was reduced in size, ``frame`` is the height and
    width of the original, in whose pixels the boxes are.
    """
    image: np.ndarray
    truths: Sequence
    results: Sequence[Result]
    caption: str = ''
    frame: tuple | None = None


def draw_comparison(rows: Sequence[Row],
                    style: Style = STYLES['paper'],
                    width: int = 900) -> np.ndarray:
    """Draw a row of panels for each image: the image, then overlay and box of each method.

    Below each overlay is the best IoU of its box with a ground-truth box, if there is one.

    Args:
        rows (Sequence[Row]): At least one row; all have the same methods in the same order.
        style (Style): Colours. Defaults to the paper's.
        width (int): Width of the figure in pixels, which determines all other sizes. Defaults to
            900.

    Returns:
        np.ndarray: The figure, RGB, uint8, shape (height, width, 3).

    Raises:
        ValueError: If there is no row, or the methods of the rows differ.
    """
    names = _method_names(rows)
    gap = max(2, width // 90)
    cell_width = (width - gap) // (len(names) + 1) - gap
    font_size = max(8, min(width // 60, cell_width // 9))  # "IoU 0.50" fits below many methods
    bands = [band([text_cell(title, font_size, cell_width, bold=True)
                    for title in ('Image', *names)], gap, width)]
    for row in rows:
        size = panel_size(row.image.shape, cell_width)
        panels = [draw_panel(row.image, size, style, truths=row.truths, frame=row.frame)]
        captions = [row.caption]
        for result in row.results:
            panels.append(draw_panel(row.image, size, style, result.score_map, row.truths,
                                     result.box, row.frame))
            captions.append(_iou_text(result.box, row.truths))
        bands.append(band([centered(p, size[0], cell_width) for p in panels], gap, width))
        bands.append(band([text_cell(c, font_size, cell_width) for c in captions], gap, width))
        bands.append(np.full((gap, width, 3), WHITE, np.uint8))
    legend = [draw_text('ground truth', font_size, width, frame=style.truth),
              draw_text('prediction', font_size, width, frame=style.prediction),
              draw_color_bar(color_table(style), font_size)]
    bands.append(flow(legend, width, font_size))
    return np.concatenate(bands)


def panel_size(shape: Sequence[int], width: int) -> tuple[int, int]:
    """Height and width of a panel with an undistorted image, at most ``width`` wide."""
    scale = min(width / shape[1], MAX_ASPECT * width / shape[0])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _method_names(rows):
    if not rows:
        raise UserError('a comparison needs at least one row.')
    names = [result.name for result in rows[0].results]
    for i, row in enumerate(rows):
        others = [result.name for result in row.results]
        if others != names:
            raise UserError(f'row {i} has results of {others}, the first row of {names}; give '
                            'every row the same methods in the same order.')
    return names


def _iou_text(box, truths):
    return f'IoU {box_iou(box, truths).max():.2f}' if len(as_boxes(truths)) else ''


def text_cell(text: str, font_size: int, width: int, bold: bool = False) -> np.ndarray:
    """Draw one line of text centred in a cell of the given width."""
    picture = draw_text(text, font_size, width, bold=bold)
    return centered(picture, len(picture), width)


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
    """Images on which the last method improves most over the best of the others.

    Args:
        ious (np.ndarray): IoU of the predicted boxes, shape (methods, images), at least two
            methods.
        count (int): Maximum number of images; images without improvement are left out.

    Returns:
        list[int]: Indices of the images, largest improvement first.
    """
    gain = ious[-1] - ious[:-1].max(axis=0)
    order = np.argsort(-gain, kind='stable')[:count]
    return order[gain[order] > 0].tolist()


def worst_images(ious: np.ndarray, count: int) -> list[int]:
    """Indices of the lowest IoUs, the lowest first, from IoUs of shape (images, )."""
    return np.argsort(ious, kind='stable')[:count].tolist()
