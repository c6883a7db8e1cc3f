import math

import numpy as np
import pytest

from cicam_mm.checkpoints.release import read_release_pool
from cicam_mm.evaluation.pool_statistics import (
    closeness_to_centre,
    correlations,
    correlations_between_rows,
    describe_rows,
    own_and_other,
    singular_energies,
)


def test_correlations_by_hand():
    rising, hill = np.array([[1., 2, 3]]), np.array([[0., 3, 0]])  # orthogonal once centred
    found = correlations(np.stack([rising, hill]), np.stack([-2 * rising + 7, hill, rising * 0]))
    np.testing.assert_allclose(found, [[-1, 0, math.nan], [0, 1, math.nan]], atol=1e-12)


def test_correlations_between_rows_are_those_of_numpy():
    pool = np.random.default_rng(0).normal(size=(4, 5, 6))
    expected = np.corrcoef(pool.reshape(4, -1))
    np.testing.assert_allclose(correlations_between_rows(pool), [
        expected[i, j] for i in range(4) for j in range(i + 1, 4)])


def test_singular_energies_by_hand():
    # rows (3, 0) and (0, 4) are the singular vectors, with energies 9 and 16 of 25
    np.testing.assert_allclose(
        singular_energies(np.array([[[3., 0]], [[0, 4]]])), [16 / 25, 9 / 25])


def test_equal_rows_are_one_singular_vector():
    row = np.random.default_rng(0).normal(size=(1, 3, 3))
    energies = singular_energies(np.tile(row, (5, 1, 1)))
    np.testing.assert_allclose(energies, [1, 0, 0, 0, 0], atol=1e-12)


def test_closeness_to_centre_by_hand():
    np.testing.assert_allclose(closeness_to_centre(3, 3), [
        [-math.sqrt(2), -1, -math.sqrt(2)], [-1, 0, -1], [-math.sqrt(2), -1, -math.sqrt(2)]])
    np.testing.assert_allclose(closeness_to_centre(1, 4), [[-1.5, -.5, -.5, -1.5]])


def test_own_and_other():
    own, other = own_and_other(np.array([[1., 4, 5], [6, 2, 7], [8, math.nan, 3]]))
    assert own == 2 and other == pytest.approx((4 + 5 + 6 + 7 + 8) / 5)


def test_rows_never_fed_take_no_part():
    pool = np.random.default_rng(0).normal(size=(3, 4, 4))
    padded = np.concatenate([pool, np.zeros((2, 4, 4))])
    assert describe_rows(padded) == describe_rows(pool)
    assert describe_rows(pool)['fed_rows'] == 3
    with pytest.raises(ValueError, match='1 of the 3 rows'):
        describe_rows(padded[2:])


@pytest.mark.parametrize('name, expected', [
    ('vgg16', dict(row_correlation=.92, row_correlation_deviation=.06, mean_row_correlation=.96,
                   mean_row_correlation_lowest=.82, energy_1=.92, energy_2=.04, energy_3=.02,
                   centre_correlation=.95)),
    ('inceptionV3', dict(row_correlation=.26, row_correlation_deviation=.44,
                         mean_row_correlation=.51, mean_row_correlation_lowest=-.61, energy_1=.43,
                         energy_2=.24, energy_3=.12, centre_correlation=.72)),
])
def test_released_pools_are_as_published_with_them(shared, name, expected):
    """The figures of the README beside them; 0.4348 and 0.2346 are 0.44 and 0.24 there."""
    pool = read_release_pool(shared / 'data' / 'released_pools' / f'mask_train_{name}_cub.pth')
    found = describe_rows(pool.numpy())
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=.006)
    assert found['fed_rows'] == 200
