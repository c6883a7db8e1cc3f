"""The data pipeline: one view, and training from JPEGs against the step alone."""

import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, MODELS

from .models import cicam
from .timing import Row, alternate, compare, compare_rates
from .training import Step

SIZES = {'500 x 375': (375, 500), '2,000 x 1,500': (1500, 2000)}
PHOTOS, STEPS, WORKERS = 8, 6, 2
PIPELINE = [  # the training view of the CUB configs
    dict(type='LoadWSOLImage'),
    dict(type='ResizeEdge', scale=304, edge='short'),
    dict(type='RandomCrop', crop_size=224),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]


def write_photos(folder: Path, size: tuple[int, int]) -> list[str]:
    """Smooth noise with some grain, as JPEG."""
    rng, paths = np.random.default_rng(0), []
    for number in range(PHOTOS):
        coarse = cv2.resize(rng.random((12, 16, 3)), size[::-1], interpolation=cv2.INTER_CUBIC)
        photo = 255 * coarse + rng.normal(0, 6, (*size, 1))
        paths.append(str(folder / f'{number}.jpg'))
        cv2.imwrite(paths[-1], photo.clip(0, 255).astype(np.uint8))
    return paths


@DATASETS.register_module()
class Photos(BaseDataset):
    """The photos, repeated to the length of some training steps."""

    def __init__(self, paths: list[str], length: int, pipeline: list[dict]):
        self.paths, self.length = paths, length
        super().__init__(pipeline=pipeline)

    def load_data_list(self) -> list[dict]:
        return [dict(img_path=self.paths[i % len(self.paths)], gt_label=i % 200)
                for i in range(self.length)]


def measure(batch: int, rounds: int) -> list[Row]:
    rows = []
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            photos = Photos(write_photos(Path(folder), size), PHOTOS, PIPELINE)
            seconds = alternate(
                {'decoding to PackInputs': lambda photos=photos: list(photos)}, rounds)
        rows += compare(f'training view of {name} pixels', seconds, per=PHOTOS)
    return rows + measure_training(batch, rounds)


def measure_training(batch: int, rounds: int) -> list[Row]:
    """Images per second in epochs from JPEGs with workers, and in as many steps alone."""
    step = Step(cicam, 200, batch)
    preprocess = MODELS.build(dict(
        type='ClsDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        to_rgb=True))
    with tempfile.TemporaryDirectory() as folder:
        paths = write_photos(Path(folder), SIZES['500 x 375'])
        loader = Runner.build_dataloader(dict(
            batch_size=batch, num_workers=WORKERS, persistent_workers=True,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
            dataset=dict(type='Photos', paths=paths, length=batch * STEPS, pipeline=PIPELINE)))

        def from_photos():
            for loaded in loader:
                data = preprocess(loaded, training=True)
                step.images = data['inputs']
                step.labels = torch.cat([sample.gt_label for sample in data['data_samples']])
                step()

        def bare():
            for _ in range(STEPS):
                step()

        # its workers are processes, too, and cannot be told from others
        seconds = alternate({'steps alone': bare, f'from JPEGs, {WORKERS} workers': from_photos},
                            max(rounds // 3, 1))
    return compare_rates(
        f'training, batch {batch}, images of 500 x 375 pixels', seconds, batch * STEPS)
