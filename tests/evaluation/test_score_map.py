import numpy as np
import pytest

from cicam_mm.evaluation.score_map import normalize_map, resize_map


def test_resizing_is_bicubic_and_overshoots():
    # weights of the cubic kernel (a = -3/4) at distance 3/4, 5/4 and 7/4, from half-pixel centres
    w3, w5, w7 = 0.26171875, -0.10546875, -0.03515625
    step = resize_map([[0, 0, 1, 1]], (1, 8))
    np.testing.assert_allclose(
        step, [[0, w7, w5, w3 + w7, 1 - w3 - w7, 1 - w5, 1 - w7, 1]], atol=1e-12)
    assert step.dtype == np.float64


def test_resizing_takes_height_first():
    assert resize_map(np.zeros((2, 3)), (5, 7, 3)).shape == (5, 7)


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
