"""MaxBoxAcc, MaxBoxAccV2 and PxAP: the reference implementation's numbers, digit for digit."""
import json
import runpy

import numpy as np
import pytest

from cicam_mm.evaluation.max_box_acc import (
    best_ious,
    max_box_accuracy,
    scale_boxes,
    score_thresholds,
)
from cicam_mm.evaluation.pxap import pixel_average_precision, pixel_histograms, score_edges

INTERVALS = (0.001, 0.01)


@pytest.fixture(scope='module')
def judged(wsoleval_reference_path):
    return json.loads(wsoleval_reference_path.read_text())


@pytest.fixture(scope='module')
def cases(shared, judged):
    make = runpy.run_path(str(shared / 'parity' / 'score_maps.py'))['cases']
    return list(make(judged['seed'], judged['count']))


@pytest.fixture(scope='module', params=INTERVALS)
def interval(request):
    return request.param


@pytest.fixture(scope='module')
def ious(cases, interval):
    """Best IoU of each image, contour mode and threshold."""
    thresholds = score_thresholds(interval)
    return np.stack([
        best_ious(case['score_map'],
                  scale_boxes(case['boxes'], case['image_size'][::-1], case['score_map'].shape),
                  thresholds)
        for case in cases])


@pytest.mark.parametrize('multi_contour', [False, True])
def test_max_box_acc(judged, ious, interval, multi_contour):
    expected = judged[f'interval_{interval}_multi_contour_{multi_contour}']
    accuracy, threshold = {}, {}
    for percent in expected['max_box_acc']:
        num_correct = (ious[:, int(multi_contour)] >= int(percent) / 100).sum(axis=0)
        accuracy[percent], threshold[percent], curve = max_box_accuracy(
            num_correct, len(ious), score_thresholds(interval))
        if percent == '50':
            step = len(curve) // len(expected['curve_iou50_every_50'])
            assert curve[::step].tolist() == expected['curve_iou50_every_50']
    assert accuracy == expected['max_box_acc']
    assert threshold == expected['best_threshold']
    assert np.mean(list(accuracy.values())) == expected['max_box_acc_v2']


def test_pxap(judged, cases, interval):
    edges = score_edges(interval)
    pooled = sum(pixel_histograms(case['score_map'], case['mask'], edges) for case in cases)
    assert pixel_average_precision(pooled)[0] == judged[f'pxap_interval_{interval}']
