"""One pass through the network, then as many localizations and pictures as people like."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.apis import WSOLInferencer
from cicam_mm.apis.inferencer import collate, prepare
from cicam_mm.datasets.images import decode_image
from cicam_mm.localization import ClassMaps, CombinationalLocalizer
from cicam_mm.models import WSOLHead
from cicam_mm.visualization import Style, draw_panel
from cicam_mm.visualization.comparison import panel_size

#: Width of a picture in pixels.
WIDTH = 640


@dataclass(frozen=True, eq=False)
class KeptMaps:
    """What the network has found in one image.

    Attributes:
        sample: The prediction with the model's own settings, on the CPU.
        head: The model's head.
        scores: Scores that rank the classes, before the softmax, shape (1, n).
        class_maps: The maps of all n classes.
    """
    sample: DataSample
    head: WSOLHead
    scores: Tensor
    class_maps: ClassMaps


class Localization(NamedTuple):
    """A score map (h, w) and its box x0, y0, x1, y1 in pixels of the image."""
    score_map: np.ndarray
    box: list[int]


@dataclass(frozen=True, eq=False)
class View:
    """An image as the page shows it.

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
        inferencers (Sequence[WSOLInferencer]): The models; not for two threads at a time.
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


def keep_maps(inferencer: WSOLInferencer, image: np.ndarray,
              ori_shape: tuple[int, int]) -> KeptMaps:
    """Run the network once.

    Args:
        inferencer (WSOLInferencer): The model; not for two threads at a time.
        image (np.ndarray): RGB, uint8, shape (h, w, 3).
        ori_shape (tuple[int, int]): Height and width of the whole image, which boxes refer to.
    """
    data = collate([prepare(inferencer.pipeline, image, ori_shape, sample_idx=0)])
    samples, scores, class_maps = inferencer.localize(data)
    head = inferencer.model.head
    sample, = head.complete(samples, scores, class_maps)
    return KeptMaps(sample.cpu(), head, scores, class_maps)


def localize_again(kept: KeptMaps,
                   localizer: CombinationalLocalizer,
                   label: int | None = None) -> Localization:
    """What the model would find with another localizer, without its network.

    Args:
        kept (KeptMaps): Of one image.
        localizer (CombinationalLocalizer): How to localize.
        label (int, optional): The class to localize. Defaults to None, the predicted one.

    Returns:
        Localization: Bit for bit as if the network had run.
    """
    sample = DataSample(metainfo=kept.sample.metainfo)
    if label is not None:
        sample.set_gt_label(torch.tensor([label], device=kept.scores.device))
    sample, = kept.head.complete([sample], kept.scores, kept.class_maps, localizer)
    if label is None:
        return Localization(sample.score_map.numpy(), sample.pred_box.tolist())
    return Localization(sample.label_map.numpy(), sample.label_box.tolist())


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
