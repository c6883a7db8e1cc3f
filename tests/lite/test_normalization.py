import numpy as np
import pytest

from cicam_lite.resizing import normalize_map


def test_shifted_and_scaled():
    np.testing.assert_array_equal(normalize_map(np.array([[2., 4], [6, 3]])), [[0, .5], [1, .25]])


@pytest.mark.parametrize('value', [0., 7., -2.])
def test_constant_map_becomes_zeros(value):
    assert not normalize_map(np.full((3, 4), value)).any()
