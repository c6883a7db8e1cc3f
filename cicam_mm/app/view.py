"""One pass through the network, then as many localizations as people like."""
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import default_collate
from mmpretrain.structures import DataSample
from torch import Tensor

from cicam_mm.apis import WSOLInferencer
from cicam_mm.apis.inferencer import prepare
from cicam_mm.datasets.images import decode_image
from cicam_mm.localization import ClassMaps, CombinationalLocalizer
from cicam_mm.models import WSOLHead
from cicam_mm.visualization import Style, draw_panel
from cicam_mm.visualization.comparison import panel_size

#: Width of a picture in pixels.
WIDTH = 640


class KeptMaps(NamedTuple):
    """What the network has found in one image.

    ``sample`` is the prediction with the model's own settings, on the CPU; ``scores``, shape
    (1, n), rank the classes, before the softmax.
    """
    sample: DataSample
    head: WSOLHead
    scores: Tensor
    class_maps: ClassMaps


class Localization(NamedTuple):
    """A score map (h, w) and its box x0, y0, x1, y1 in pixels of the image."""
    score_map: np.ndarray
    box: list[int]


class View(NamedTuple):
    """An image at the size of the pictures, RGB, uint8, and what each model has found."""
    panel: np.ndarray
    kept: Sequence[KeptMaps]


def look(inferencers: Sequence[WSOLInferencer], read: Callable[[], bytes], name: str,
         style: Style) -> View:
    """Run each model's network once on the image file that ``read`` gives; not thread-safe.

    Errors call the image ``name``.
    """
    decode = cache(partial(decode_image, read, name))  # once where limits are the same
    image, _ = decode(min(inferencer.max_pixels for inferencer in inferencers))
    panel = draw_panel(image, panel_size(image.shape, WIDTH), style)
    return View(panel, [keep_maps(each, *decode(each.max_pixels)) for each in inferencers])


def keep_maps(inferencer: WSOLInferencer, image: np.ndarray,
              ori_shape: tuple[int, int]) -> KeptMaps:
    """Run the network once, see :func:`cicam_mm.apis.inferencer.prepare`."""
    data = default_collate([prepare(inferencer.pipeline, image, ori_shape, sample_idx=0)])
    samples, scores, class_maps = inferencer.localize(data)
    sample, = inferencer.model.head.complete(samples, scores, class_maps)
    return KeptMaps(sample.cpu(), inferencer.model.head, scores, class_maps)


def localize_again(kept: KeptMaps,
                   localizer: CombinationalLocalizer,
                   label: int | None = None) -> Localization:
    """What the model would find with another localizer, bit for bit, without its network.

    Without a label that is the object of the predicted class.
    """
    sample = DataSample(metainfo=kept.sample.metainfo)
    if label is not None:
        sample.set_gt_label(torch.tensor([label], device=kept.scores.device))
    sample, = kept.head.complete([sample], kept.scores, kept.class_maps, localizer)
    if label is None:
        return Localization(sample.score_map.numpy(), sample.pred_box.tolist())
    return Localization(sample.label_map.numpy(), sample.label_box.tolist())
