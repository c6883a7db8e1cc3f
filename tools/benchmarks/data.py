"""Images a second of the data pipelines, for photos of two sizes made on the spot."""

import tempfile
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import Compose
from mmpretrain.registry import TRANSFORMS

from .timing import Row, alternate, compare

SIZES = {'500 x 375': (375, 500), '2,000 x 1,500': (1500, 2000)}
IMAGES = 8


def pipeline(min_side: int | None) -> Compose:
    """The training view of the CUB configs."""
    return Compose([TRANSFORMS.build(cfg) for cfg in (
        dict(type='LoadWSOLImage', min_side=min_side),
        dict(type='ResizeEdge', scale=304, edge='short'),
        dict(type='RandomCrop', crop_size=224),
        dict(type='RandomFlip', prob=0.5, direction='horizontal'),
        dict(type='PackInputs'))])


def write_photos(folder: Path, size: tuple[int, int]) -> list[str]:
    """Smooth noise with some grain, as JPEG."""
    rng, paths = np.random.default_rng(0), []
    for number in range(IMAGES):
        coarse = cv2.resize(rng.random((12, 16, 3)), size[::-1], interpolation=cv2.INTER_CUBIC)
        photo = 255 * coarse + rng.normal(0, 6, (*size, 1))
        paths.append(str(folder / f'{number}.jpg'))
        cv2.imwrite(paths[-1], photo.clip(0, 255).astype(np.uint8))
    return paths


def measure(rounds: int) -> list[Row]:
    rows = []
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = write_photos(Path(folder), size)

            def load(transforms, paths=paths):
                for path in paths:
                    transforms(dict(img_path=path, gt_label=0))

            ways = {'decoded whole': pipeline(None), 'min_side=304': pipeline(304)}
            seconds = alternate({way: lambda t=t: load(t) for way, t in ways.items()}, rounds)
            rows += compare(f'training view of {name} pixels', seconds, per=IMAGES)
    return rows
