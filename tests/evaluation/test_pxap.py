import cv2
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
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


def test_curve():
    # from the top: 1 of 1, none in the bin between, 2 of 3
    _, precision, recall = pixel_average_precision(np.array([[1, 0, 1, 0], [1, 0, 0, 0]]))
    np.testing.assert_array_equal(precision, [2 / 3, 1, 1, np.nan])
    np.testing.assert_array_equal(recall, [1, .5, .5, 0])


def test_pooled_over_images():
    """Pooling is not averaging: the second image alone would give 100."""
    edges = score_edges(.1)
    first = pixel_histograms(np.array([[.9, .1]]), np.array([[0, 1]]), edges)
    second = pixel_histograms(np.array([[.5, .4]]), np.array([[1, 0]]), edges)
    # falling scores: 0, 1, 0, 1
    assert pixel_average_precision(first + second)[0] == pytest.approx(100 * (.5 / 2 + .5 * .5))


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


def test_mask_is_resized_by_nearest_neighbour():
    small, large = [[0, 1], [255, 1]], np.kron([[0, 1], [255, 1]], np.ones((3, 3), np.uint8))
    label_map = [[0., 4.], [2., 1.]]
    assert evaluate([sample(label_map, large)])[0] == evaluate([sample(label_map, small)])[0]


def test_errors_name_the_image():
    with pytest.raises(ValueError, match='image 3: 1 of 4 values .* not finite'):
        evaluate([sample([[0., float('nan')], [2, 1]], [[0, 1], [1, 1]])])
    with pytest.raises(ValueError, match="image 3: the data sample has no 'gt_mask'"):
        evaluate([dict(sample([[0., 1]], [[0, 1]]), gt_mask=None)])


image = st.tuples(arrays(np.float64, (3, 4), elements=st.integers(0, 6)),
                  arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 255])))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(image, min_size=1, max_size=3))
def test_equal_to_counting_at_every_threshold(images):
    assume(any((mask == 1).any() for _, mask in images))
    pixels = []
    for label_map, mask in images:
        resized = cv2.resize(label_map, (12, 10), interpolation=cv2.INTER_CUBIC)
        resized = resized - resized.min()
        large = mask.repeat(2, axis=0).repeat(2, axis=1)      # 5 x 6 to 10 x 12
        pixels += zip((resized / (resized.max() or 1)).flat, large.flat, strict=True)
    expected, last_recall = 0, 0
    for threshold in (1, *np.arange(0, 1, .1)[::-1]):
        found = [label for score, label in pixels if score >= threshold]
        if 0 in found or 1 in found:
            recall = found.count(1) / sum(label == 1 for _, label in pixels)
            precision = found.count(1) / (found.count(0) + found.count(1))
            expected += 100 * precision * (recall - last_recall)
            last_recall = recall
    samples = [sample(label_map, mask, (10, 12)) for label_map, mask in images]
    assert evaluate(samples)[0]['pxap'] == pytest.approx(expected)
