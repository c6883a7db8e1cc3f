"""Boxes that ignore the image: ``python docs/study/fixed_box.py CONFIG``.

Finds the box that fits most images of a split (val, or the one --split names), as shares of width
and height, for ``FixedBoxLocalizer``, and prints in how many test images it, a box in the middle
and the whole image reach an IoU of 0.5: their GT-known Loc.
"""
import argparse

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS
from PIL import Image

from cicam_mm.apis.configs import read_config
from cicam_mm.evaluation.held_out import loader_of_split
from cicam_mm.localization import best_box
from cicam_mm.localization.overlap import box_iou

#: Half the area of the image, and all of it.
BOXES = {'centre box': [0.146, 0.146, 0.854, 0.854], 'whole image': [0, 0, 1, 1]}


def truths_of(cfg: Config, split: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each image the boxes in pixels, and width and height twice."""
    init_default_scope('mmpretrain')
    dataset = DATASETS.build(loader_of_split(cfg, split).dataset)
    found = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if 'img' in info:
            size = info['img'].shape[1::-1]
        else:
            with Image.open(info['img_path']) as image:
                size = image.size
        found.append((np.array([instance['bbox'] for instance in info['instances']]),
                      np.array(size * 2)))
    return found


def fixed_box(cfg: Config, split: str) -> tuple[np.ndarray, float]:
    """The box, and the percentage of the split's boxes that it reaches."""
    return best_box(np.concatenate([boxes / size for boxes, size in truths_of(cfg, split)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config')
    parser.add_argument('--split', default='val', help='val or train')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    args = parser.parse_args()
    cfg = read_config(args.config)
    cfg.merge_from_dict(args.cfg_options)
    box, found = fixed_box(cfg, args.split)
    print(f'{args.split}: box {box.round(2).tolist()} fits {found:.1f} %')
    test = truths_of(cfg, 'test')
    for name, shares in {'fixed box': box, **BOXES}.items():
        hits = [box_iou((shares * size).round(), boxes).max() >= 0.5 for boxes, size in test]
        print(f'test: {name} finds {np.mean(hits) * 100:.1f} % of {len(hits)}')


if __name__ == '__main__':
    main()
