"""Localization after backbone and classifier, for different numbers of classes."""

import cv2
import numpy as np
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from .models import SIDE
from .timing import Row, alternate, compare

CLASSES = (200, 10, 1000, 21841)
BATCH, CHANNELS, GRID = 32, 512, 14


class Localization:
    """DualCAMHead.predict without the product of features and classifier."""

    def __init__(self, num_classes: int):
        torch.manual_seed(0)
        self.head = MODELS.build(dict(
            type='DualCAMHead', num_classes=num_classes, in_channels=CHANNELS))
        self.head.init_weights()
        self.head.eval()
        self.features = smooth_features()
        scores = self.head.classify(self.features)
        self.head.classify = lambda features: scores
        size = (SIDE, SIDE)
        self.metainfo = dict(img_shape=size, ori_shape=size)

    @torch.no_grad()
    def __call__(self):
        samples = [DataSample(metainfo=self.metainfo) for _ in range(BATCH)]
        self.head.predict((self.features, ), samples)


def smooth_features() -> torch.Tensor:
    """Features whose maps have a few peaks, like real ones, in the backbone's memory format.

    Shape (BATCH, CHANNELS, GRID, GRID).
    """
    noise = np.random.default_rng(0).random((GRID, GRID, BATCH * CHANNELS), np.float32)
    noise = np.dstack([cv2.GaussianBlur(part, (0, 0), 1.5)
                       for part in np.array_split(noise, BATCH * CHANNELS // 4, axis=2)])
    features = torch.from_numpy(noise).permute(2, 0, 1).reshape(BATCH, CHANNELS, GRID, GRID)
    return features.contiguous(memory_format=torch.channels_last)


def measure(rounds: int) -> list[Row]:
    actions = {f'{n:,} classes': Localization(n) for n in CLASSES}
    return compare('scores to box, an image', alternate(actions, rounds), per=BATCH)
