import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

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


@pytest.mark.parametrize('value', [0, .3, 1])
def test_constant_map_gives_the_share_of_object_pixels(value):
    assert pxap([value] * 5, [1, 0, 0, 0, 1]) == pytest.approx(40)


def test_bins_are_closed_on_the_left_and_one_has_its_own():
    histograms = pixel_histograms(
        np.array([[0, .5, .49, 1]]), np.array([[1, 1, 1, 0]]), score_edges(.5))
    assert score_edges(.5).tolist() == [0, .5, 1, 2, 3]
    assert histograms.tolist() == [[2, 1, 0, 0], [0, 0, 1, 0]]


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


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from([0, 1, 1, 255])), min_size=1))
def test_equal_to_counting_at_every_threshold(pixels):
    assume(any(label == 1 for _, label in pixels))
    scores, labels = np.transpose(pixels)
    expected, last_recall = 0, 0
    for threshold in range(20, -1, -1):
        true = sum(s >= threshold and label == 1 for s, label in pixels)
        false = sum(s >= threshold and label == 0 for s, label in pixels)
        if true + false:
            recall = true / sum(label == 1 for _, label in pixels)
            expected += 100 * true / (true + false) * (recall - last_recall)
            last_recall = recall
    # scores in the middle of bins, and 1
    assert pxap(np.where(scores == 20, 1, (scores + .5) / 20), labels, .05) == pytest.approx(
        expected)
