"""The built-in demo data: objects that co-occur with their contexts."""
from typing import Literal

import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from cicam_mm.utils.errors import UserError, check_choices

from .base import CheckedDataset
from .scene import CONTEXTS, PATTERNS, draw_scene


@DATASETS.register_module()
class ConfoundedShapes(CheckedDataset, BaseDataset):
    """Six classes of objects and six contexts: a small version of the duck-on-water problem.

    A class is a pattern, bold or faded, that covers an object of any outline; a context is a
    texture that fills the background of a 96 x 96 picture. In training, class k has context k with
    probability ``rho``, and otherwise one drawn uniformly, which may again be k. In testing the
    context is always drawn uniformly, which exposes models that mistake the context for the class.

    Pictures are drawn on the fly, each from (seed, split, index) only: workers, order and
    ``num_images`` do not matter, and another ``rho`` gives the same objects.

    Besides ``gt_label`` and ``instances``, get_data_info gives ``img`` (96, 96, 3) uint8 BGR,
    ``gt_mask`` (96, 96) uint8 with 1 on the object, and the indices ``pattern`` and ``context``.

    Args:
        rho (float): Strength of the confounding in the training split.
        num_images (int): Number of pictures; labels cycle through the classes.
        placement (str): Where objects are: 'anywhere'; near the 'middle' of the picture, as in
            photographs; or 'by_class', each class near a place of its own. Objects stay the same.
        label (str): What ``gt_label`` is: 'pattern', or 'scene', one of the 36 pairs of pattern
            and context (``6 * pattern + context``).
        keep_drawn (bool): Keep pictures in memory, 36 KB each, instead of drawing them again in
            the next epoch.
    """

    METAINFO = dict(classes=tuple(PATTERNS), contexts=tuple(CONTEXTS))

    def __init__(self,
                 split: Literal['train', 'test'] = 'train',
                 rho: float = 0.8,
                 num_images: int = 1200,
                 seed: int = 0,
                 placement: Literal['anywhere', 'middle', 'by_class'] = 'anywhere',
                 label: Literal['pattern', 'scene'] = 'pattern',
                 keep_drawn: bool = False,
                 **kwargs):
        check_choices(ConfoundedShapes, split=split, placement=placement, label=label)
        if not 0 <= rho <= 1:
            raise UserError(f'rho must be a probability in [0, 1], not {rho}.')
        self.split = split
        self.rho = rho
        self.num_images = num_images
        self.seed = seed
        self.placement = placement
        self.label = label
        self.keep_drawn = keep_drawn
        self._drawn = {}
        if label == 'scene':
            kwargs['metainfo'] = dict(classes=tuple(
                f'{pattern} on {context}' for pattern in PATTERNS for context in CONTEXTS))
        # few numbers a picture; serializing them collects the garbage of the whole process
        super().__init__(ann_file='', **{'serialize_data': False, **kwargs})

    def load_data_list(self) -> list[dict]:
        """Draws the context of every picture; get_data_info draws the picture itself."""
        is_test = self.split == 'test'
        rho = 0 if is_test else self.rho
        data_list = []
        for index in range(self.num_images):
            pattern = index % len(PATTERNS)
            key = self.seed, int(is_test), index
            rng = np.random.default_rng((*key, 0))
            is_own, other = rng.random() < rho, int(rng.integers(len(CONTEXTS)))
            context = pattern if is_own else other
            label = pattern if self.label == 'pattern' else len(CONTEXTS) * pattern + context
            data_list.append(dict(
                gt_label=label, pattern=pattern, context=context, scene_key=(*key, 1)))
        return data_list

    def get_data_info(self, idx: int) -> dict:
        """Draws a picture with its box and mask."""
        info = super().get_data_info(idx)
        key = info.pop('scene_key')
        if (scene := self._drawn.get(key)) is None:
            scene = draw_scene([*PATTERNS][info['pattern']], [*CONTEXTS][info['context']],
                               np.random.default_rng(key), self.placement)
            if self.keep_drawn:
                self._drawn[key] = scene
        return dict(
            info,
            img=np.ascontiguousarray(scene.image[..., ::-1]),
            img_shape=scene.mask.shape,
            ori_shape=scene.mask.shape,
            gt_mask=scene.mask.copy(),
            instances=[dict(bbox=[float(x) for x in scene.box], bbox_label=info['gt_label'])])
