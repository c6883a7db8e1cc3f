import numpy as np
import pytest
from benchmarks.threshold_boxes import contour_search, random_map, together


@pytest.mark.parametrize('every', [False, True])
def test_both_ways_find_the_same_boxes(every):
    rng, thresholds = np.random.default_rng(0), np.arange(0, 1, 0.02)
    for _ in range(2):
        score_map = random_map(rng, 56)
        for searched, found in zip(contour_search(score_map, thresholds, every),
                                   together(score_map, thresholds, every), strict=True):
            assert sorted(searched) == sorted(map(tuple, found.tolist()))
