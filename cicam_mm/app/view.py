"""An image as the page shows it, with what every model has found in it."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from cicam_mm.apis import WSOLInferencer
from cicam_mm.apis.images import decode_image
from cicam_mm.visualization import Style, draw_panel
from cicam_mm.visualization.figure import panel_size

from .kept_maps import KeptMaps, Localization, keep_maps

#: Width of a picture in pixels.
WIDTH = 640


@dataclass(frozen=True, eq=False)
class View:
    """What a session keeps of its last image.

    Attributes:
        panel: The image at the size of the pictures, RGB, uint8; the original may be huge.
        kept: What each model has found.
    """
    panel: np.ndarray
    kept: Sequence[KeptMaps]


def look(inferencers: Sequence[WSOLInferencer], read: Callable[[], bytes], name: str,
         style: Style) -> View:
    """Run the network of each model once.

    Args:
        inferencers (Sequence[WSOLInferencer]): The models.
        read (Callable): Gives the bytes of the image's file.
        name (str): What messages call it.
        style (Style): Colours.

    Raises:
        OSError: If the image cannot be read; the message names it.
    """
    decode = cache(partial(decode_image, read, name))  # once where limits are the same
    image, _ = decode(min(inferencer.max_pixels for inferencer in inferencers))
    panel = draw_panel(image, panel_size(image.shape, WIDTH), style)
    return View(panel, [
        keep_maps(inferencer, *decode(inferencer.max_pixels)) for inferencer in inferencers])


def draw(panel: np.ndarray, found: Localization, ori_shape: tuple, style: Style) -> np.ndarray:
    """Draw a score map and its box.

    Args:
        panel (np.ndarray): The image, at whatever size, RGB, uint8.
        found (Localization): What to draw.
        ori_shape (tuple): (H, W) of the image that the box refers to.
        style (Style): Colours.

    Returns:
        np.ndarray: RGB, uint8, of the size of the panel.
    """
    return draw_panel(panel, panel.shape[:2], style, found.score_map, predictions=found.box,
                      frame=ori_shape)
