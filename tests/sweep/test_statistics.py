from math import isnan, sqrt

import pytest

from cicam_mm.sweep.statistics import estimate, paired_difference


def test_mean_deviation_and_interval_by_hand():
    # deviations -1, 0, 1: variance 2 / 2; the quantile of two degrees of freedom from a table
    result = estimate([4., 5, 6])
    assert (result.mean, result.deviation, result.runs) == (5, 1, 3)
    assert result.margin == pytest.approx(4.302653 / sqrt(3))


def test_a_single_run_has_no_spread():
    result = estimate([7.])
    assert result.mean == 7 and isnan(result.deviation) and isnan(result.margin)
    assert not result.is_clear


def test_differences_are_taken_seed_by_seed():
    # 2, 3 and 4 better, though the runs themselves lie 60 apart
    result = paired_difference({2: 72., 0: 12, 1: 43}, {0: 10., 1: 40, 2: 68, 3: 0})
    assert (result.mean, result.deviation, result.runs) == (3, 1, 3)
    assert result.is_clear
    assert not paired_difference({0: 1., 1: -1}, {0: 0., 1: 0}).is_clear


def test_without_common_seeds():
    with pytest.raises(ValueError, match='no seed in common'):
        paired_difference({0: 1.}, {1: 1.})
