"""The box that fits most images of a split: ``python docs/study/fixed_box.py CONFIG --split val``.

Prints it as shares of width and height, for ``FixedBoxLocalizer``, with the percentage of images
in which it reaches an IoU of 0.5.
"""
import argparse

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS
from PIL import Image

import cicam_mm  # noqa: F401, registers the data sets
from cicam_mm.evaluation.held_out import loader_of_split
from cicam_mm.localization import best_box


def size_of(info: dict) -> tuple[int, int]:
    """Width and height of an image."""
    if 'img' in info:
        return info['img'].shape[1::-1]
    with Image.open(info['img_path']) as image:
        return image.size


def fixed_box(cfg: Config, split: str) -> tuple[np.ndarray, float, int]:
    """The box, the percentage of the split's boxes that it reaches, and their number."""
    init_default_scope('mmpretrain')
    dataset = DATASETS.build(loader_of_split(cfg, split).dataset)
    truths = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        size = np.array(size_of(info) * 2)
        truths += [np.array(instance['bbox']) / size for instance in info['instances']]
    return *best_box(truths), len(truths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config')
    parser.add_argument('--split', default='val', help='val, train or test')
    args = parser.parse_args()
    box, found, count = fixed_box(Config.fromfile(args.config), args.split)
    print(f'box={box.round(2).tolist()}, {found:.1f} % of {count} boxes')


if __name__ == '__main__':
    main()
