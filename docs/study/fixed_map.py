"""Maps that ignore the image: ``python docs/study/fixed_map.py CONFIG``.

Prints the PxAP on the test masks of a constant map, which is the share of object pixels, and of
the mean mask of the validation images.
"""
import argparse

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS

from cicam_mm.apis.configs import read_config
from cicam_mm.evaluation.held_out import loader_of_split
from cicam_mm.evaluation.pxap import pixel_average_precision, pixel_histograms, score_edges

SIZE = 224, 224


def masks_of(cfg: Config, split: str) -> list[np.ndarray]:
    """The masks of a split, at the size of the network's input."""
    init_default_scope('mmpretrain')
    dataset = DATASETS.build(loader_of_split(cfg, split).dataset)
    masks = (dataset[index]['data_samples'].gt_mask for index in range(len(dataset)))
    return [cv2.resize(np.array(mask), SIZE, interpolation=cv2.INTER_NEAREST) for mask in masks]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config')
    cfg = read_config(parser.parse_args().config)
    held_out, test = masks_of(cfg, 'val'), masks_of(cfg, 'test')
    mean = np.mean([mask == 1 for mask in held_out], axis=0)
    edges = score_edges(0.001)
    for name, score_map in {'constant map': np.ones(SIZE), 'mean mask': mean}.items():
        pooled = sum(pixel_histograms(score_map, mask, edges) for mask in test)
        print(f'{name}: PxAP {pixel_average_precision(pooled)[0]:.2f}')


if __name__ == '__main__':
    main()
