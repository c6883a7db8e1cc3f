import numpy as np
import pytest

from cicam_mm.evaluation.functional.score_map import normalize_map


def test_normalizing():
    np.testing.assert_array_equal(normalize_map(np.array([[-1., 0], [1, 3]])),
                                  [[0, .25], [.5, 1]])


@pytest.mark.parametrize('value', [0., 7., -2.])
def test_constant_map_becomes_zeros(value):
    assert not normalize_map(np.full((3, 4), value)).any()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_an_error(value):
    with pytest.raises(ValueError, match='1 of 6 values of the score map are not finite'):
        normalize_map(np.array([[0, 1, 2], [3, 4, value]]))
