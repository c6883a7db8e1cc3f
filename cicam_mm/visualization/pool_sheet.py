"""Pictures of a causal context pool: Q_c beside the mean image of class c."""
from collections.abc import Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from cicam_mm.datasets.wrappers import leaves, metainfo_of

from .caption import WHITE, draw_color_bar, flow
from .comparison import band, captioned, text_cell
from .overlay import STYLES, Style, color_table, draw_panel
from .pictures import find_loader
from .visualizer import class_name

#: Number of classes on a sheet by default.
NUM_CLASSES = 12


def draw_pool(contexts: np.ndarray, dataset=None, labels: Sequence[int] | None = None,
              style: Style = STYLES['paper'], width: int = 900) -> np.ndarray:
    """Draw the contexts of some classes, by default the first 12, of a pool (n, h, w).

    Each is scaled to the range of the colour map; it is all zero if training has not updated it.
    Beside them are the mean images of ``dataset``, three classes in a row; without one, white
    squares, and numbers instead of names. The ``width`` in pixels determines all other sizes.
    """
    labels = list(labels or range(min(NUM_CLASSES, len(contexts))))
    if dataset is None:
        means, classes = np.full((len(labels), 224, 224, 3), WHITE, np.uint8), None
    else:
        means, classes = mean_images(dataset, labels), metainfo_of(dataset).get('classes')
    per_row = min(3, len(labels))
    font_size, gap = max(8, width // 64), max(2, width // 90)
    pair = (width - gap) // 3 - gap
    side = (pair - 2) // 2
    opaque, cells = replace(style, alpha=1), []
    for label, mean in zip(labels, means, strict=True):
        context, name = contexts[label], class_name(label, classes)
        between = np.full((side, pair - 2 * side, 3), WHITE, np.uint8)
        panels = [draw_panel(mean, (side, side), style), between,
                  draw_panel(mean, (side, side), opaque, context)]
        caption = name if np.any(context) else f'{name} (no context)'
        cells.append(captioned(np.concatenate(panels, axis=1), caption, font_size, pair, gap))
    header = np.concatenate([text_cell(title, font_size, part, bold=True) for title, part in (
        ('mean image', side), ('context Q', pair - side))], axis=1)
    cells += [np.full_like(cells[0], WHITE)] * (-len(cells) % per_row)
    bands = [band([header] * per_row, gap, width)]
    bands += [band(cells[i:i + per_row], gap, width) for i in range(0, len(cells), per_row)]
    return np.concatenate([*bands, flow([draw_color_bar(color_table(style), font_size)], width,
                                        font_size)])


def mean_images(dataset, labels: Iterable[int], limit: int = 50) -> np.ndarray:
    """The mean of up to ``limit`` images of each class, squashed to 224 x 224, not augmented.

    RGB, uint8, shape (k, 224, 224, 3); white if a class has no image.
    """
    loader, means = find_loader(dataset), []
    of_image = [(leaf, i, label) for leaf in leaves(dataset)
                for i, label in enumerate(leaf.get_gt_labels().tolist())]
    for label in labels:
        found = [image for image in of_image if image[2] == label]
        chosen = np.linspace(0, len(found) - 1, min(limit, len(found))).astype(int)
        infos = (found[i][0].get_data_info(found[i][1]) for i in chosen)
        images = [info['img'] if 'img' in info else loader(info)['img'] for info in infos]
        squashed = [cv2.resize(image, (224, 224), interpolation=cv2.INTER_AREA)[..., ::-1]
                    for image in images] or [np.full((224, 224, 3), WHITE)]
        means.append(np.mean(squashed, axis=0).round().astype(np.uint8))
    return np.stack(means)
