import numpy as np
import pytest
from benchmarks.metrics import BoxesSearchedAtCuts, SearchedBoxes
from benchmarks.threshold_boxes import contour_search, random_map, search_at_cuts, together

from cicam_mm.evaluation import max_box_acc as box_accuracy


@pytest.mark.parametrize('every', [False, True])
def test_all_ways_find_the_same_boxes(every):
    rng, thresholds = np.random.default_rng(0), np.arange(0, 1, 0.002)  # several to a cut
    for _ in range(2):
        score_map = random_map(rng, 56)
        searched = contour_search(score_map, thresholds, every)
        assert search_at_cuts(score_map, thresholds, every) == searched
        for boxes, found in zip(searched, together(score_map, thresholds, every), strict=True):
            assert sorted(boxes) == sorted(map(tuple, found.tolist()))


@pytest.mark.parametrize('kind', [SearchedBoxes, BoxesSearchedAtCuts])
def test_replaced_searches_give_the_same_metric(monkeypatch, kind):
    score_map = random_map(np.random.default_rng(0), 56)
    truths, thresholds = [[5, 8, 30, 40]], np.arange(0, 1, 0.002)
    expected = box_accuracy.best_ious(score_map, truths, thresholds)
    monkeypatch.setattr(box_accuracy, 'ThresholdBoxes', kind)
    np.testing.assert_array_equal(
        box_accuracy.best_ious(score_map, truths, thresholds), expected)
