import numpy as np
import pytest
import torch
from mmpretrain.registry import METRICS

from cicam_mm.evaluation.mask_iou import mask_iou


def sample(label_map, gt_mask):
    label_map = torch.tensor(label_map)
    return dict(label_map=label_map, gt_mask=np.array(gt_mask, np.uint8), box_rule='ts_cam',
                theta=.5, img_shape=(*label_map.shape, ), sample_idx=3)


def evaluate(*samples):
    metric = METRICS.build(dict(type='MaskIoU'))
    for each in samples:
        metric.process(None, [each])
    return metric.evaluate(size=len(samples))


def test_mean_over_images_by_hand():
    # 3 of 4 pixels above half of the maximum, 2 of them object; one object pixel is missed
    first = sample([[0., 8, 6], [5, 1, 3]], [[0, 1, 1], [0, 0, 1]])
    # one ignored pixel is found and does not count: 1 of 1
    second = sample([[0., 8, 6], [1, 1, 3]], [[0, 1, 255], [0, 0, 0]])
    assert evaluate(first, second) == {'mask_iou': pytest.approx(100 * (2 / 4 + 1) / 2)}
    assert evaluate(dict(first, theta=.8)) == {'mask_iou': pytest.approx(100 / 3)}


def test_mask_of_another_size_and_empty_union():
    found = np.array([[True, False]])
    large = np.kron([[1, 0]], np.ones((3, 3), np.uint8))
    assert mask_iou(found, large) == 1
    assert mask_iou(found & False, np.zeros((1, 2), np.uint8)) == 0
