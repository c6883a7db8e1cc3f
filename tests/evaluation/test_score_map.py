import numpy as np
import pytest

from cicam_mm.evaluation.pooled_metric import judged_map


def test_normalized_at_its_size():
    np.testing.assert_array_equal(judged_map(np.array([[-1., 0], [1, 3]]), (2, 2)),
                                  [[0, .25], [.5, 1]])


def test_normalized_behind_the_resizing():
    """Bicubic values leave the range of the map, and are scaled into it again."""
    judged = judged_map(np.array([[0., 0, 9, 9]]), (3, 16))
    assert (judged.min(), judged.max()) == (0, 1)
    assert 0 < judged[0, 0] < judged[0, 15] < 1  # the plateaus; the overshoots are between them
    np.testing.assert_allclose(judged, 1 - judged[:, ::-1], atol=1e-12)


@pytest.mark.parametrize('value', [0., 7., -2.])
def test_constant_map_becomes_zeros(value):
    assert not judged_map(np.full((3, 4), value), (3, 4)).any()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_an_error(value):
    with pytest.raises(ValueError, match='1 of 6 values of the score map are not finite'):
        judged_map(np.array([[0, 1, 2], [3, 4, value]]), (30, 30))
