import numpy as np
import pytest

from cicam_mm.visualization.pool_figure import draw_pool_figure


@pytest.mark.parametrize('num_classes', [3, 9])
def test_shows_what_the_rows_are(num_classes):
    pool = np.random.default_rng(0).normal(size=(num_classes, 4, 5))
    names = [f'kind {k}' for k in range(num_classes)]
    figure = draw_pool_figure(pool, names, 'some file')
    shown = {axis.get_title(): axis.images[0].get_array() for axis in figure.axes if axis.images}
    correlation = shown.pop('correlation of rows\n(blue -1, red 1)')
    np.testing.assert_allclose(correlation, np.corrcoef(pool.reshape(num_classes, -1)))
    np.testing.assert_array_equal(shown['mean row'], pool.mean(axis=0))
    rows = [name for name in shown if name.startswith('kind')]
    assert rows == (names if num_classes == 3 else [f'kind {k}' for k in (0, 2, 3, 5, 6, 8)])
    for name in rows:
        np.testing.assert_array_equal(shown[name], pool[names.index(name)])
    # the first singular vector is the direction in which the rows are longest
    first = shown['singular vector 1'].reshape(-1)
    assert np.linalg.norm(first) == pytest.approx(1)
    energies = [bar.get_height() for axis in figure.axes for bar in axis.patches]
    rows = pool.reshape(num_classes, -1)
    assert energies[0] == pytest.approx(100 * ((rows @ first)**2).sum() / (rows**2).sum())
    assert sum(energies[:6]) <= 100 + 1e-9 and figure.get_suptitle() == 'some file'
