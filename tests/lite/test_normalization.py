import numpy as np
import pytest

from cicam_lite.resizing import normalize_map, stretched


def test_shifted_and_scaled():
    np.testing.assert_array_equal(normalize_map(np.array([[2., 4], [6, 3]])), [[0, .5], [1, .25]])


@pytest.mark.parametrize('value', [0., 7., -2.])
def test_constant_map_becomes_zeros(value):
    assert not normalize_map(np.full((3, 4), value)).any()


def test_a_constant_map_does_not_change_the_others():
    """Zeros of another type would, by comparing all maps of an image with theta in float64."""
    theta = .3
    maps = np.array([[[0, np.float32(theta)], [0, 1]], [[5, 5], [5, 5]]], np.float32)
    alone, together = (stretched(each, (2, 2)) for each in (maps[:1], maps))
    assert together.dtype == np.float32 and ((together[0] > theta) == (alone[0] > theta)).all()
