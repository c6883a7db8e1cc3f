import numpy as np
import pytest
import torch
from mmpretrain.registry import METRICS

from cicam_mm.evaluation.pxap import pixel_average_precision, pixel_histograms, score_edges


def pxap(scores, labels, interval=.01):
    histograms = pixel_histograms(
        np.array([scores], float), np.array([labels], np.uint8), score_edges(interval))
    return pixel_average_precision(histograms)[0]


@pytest.mark.parametrize(('positives', 'negatives', 'ignored', 'expected'), [
    ((.2, .8), (.5, .1), (.9, ), 100 * (1 / 2 + 2 / 3 / 2)),     # 83.33
    ((.2, .4), (.5, .9), (), 100 * (1 / 3 / 2 + 2 / 4 / 2)),     # 41.67
    ((.2, .2), (.1, .1), (0, 1), 100),
])
def test_by_hand(positives, negatives, ignored, expected):
    labels = [1] * len(positives) + [0] * len(negatives) + [255] * len(ignored)
    assert pxap([*positives, *negatives, *ignored], labels) == pytest.approx(expected)


def test_errors():
    edges = score_edges(.1)
    with pytest.raises(ValueError, match='at least one object pixel'):
        pxap([.1, .2], [0, 255])
    with pytest.raises(ValueError, match=r'shape \(1, 2\), but its mask \(2, 1\)'):
        pixel_histograms(np.zeros((1, 2)), np.zeros((2, 1)), edges)
    with pytest.raises(ValueError, match=r'must be in \[0, 1\]'):
        pixel_histograms(np.array([[0, np.nan]]), np.zeros((1, 2)), edges)
    with pytest.raises(ValueError, match=r'this one has \[7\]'):
        pixel_histograms(np.zeros((1, 2)), np.array([[0, 7]]), edges)


def sample(label_map, gt_mask, img_shape=(2, 2)):
    return dict(label_map=torch.tensor(label_map), gt_mask=torch.tensor(gt_mask),
                img_shape=img_shape, sample_idx=3)


def evaluate(samples):
    metric = METRICS.build(dict(type='PxAP', interval=.1))
    for one in samples:
        metric.process(None, [one])
    return metric.evaluate(size=len(samples)), metric


def test_metric_by_hand():
    metrics, metric = evaluate([
        sample([[0., 5.], [2.5, 1.]], [[0, 1], [255, 1]]),       # scores 0, 1 and .2
        sample([[0., 10], [9, 9]], [[1, 0], [0, 255]]),          # scores 0, 1 and .9
    ])
    # from the top: 1 of 2 at score 1, 1 of 3 at .9, 2 of 4 at .2, 3 of 6 at 0
    assert metrics == {'pxap': pytest.approx(100 * (1 / 2 + 2 / 4 + 3 / 6) / 3)}
    assert metric.curves['precision'] == [.5, .5, .5, *[1 / 3] * 7, .5]
    assert metric.curves['recall'] == [1, *[2 / 3] * 2, *[1 / 3] * 8]
    np.testing.assert_allclose(metric.curves['thresholds'], np.arange(11) / 10)
