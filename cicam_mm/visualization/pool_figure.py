from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cicam_mm.evaluation.pool_statistics import correlations, singular_energies

NUM_ROWS = 6

NUM_VECTORS = 3


def draw_pool_figure(pool: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """An overview of a context pool.

    The first line shows the correlations of all rows, the shares of the singular vectors' energy,
    the mean row and the first singular vectors; the second line shows some rows, evenly spaced,
    each scaled to the range of its values.

    Args:
        pool (np.ndarray): Shape (n, h, w).
        names (Sequence[str]): Names of the n classes.
        title (str): Title of the figure.

    Returns:
        Figure: The figure; save it with ``savefig``.
    """
    figure = Figure(figsize=(10.5, 4.2), layout='constrained')
    axes = figure.subplots(2, NUM_ROWS)
    figure.suptitle(title, fontsize='medium')

    axes[0, 0].imshow(correlations(pool, pool), vmin=-1, vmax=1, cmap='coolwarm')
    axes[0, 0].set_title('correlation of rows\n(blue -1, red 1)', fontsize='small')
    axes[0, 0].set(xticks=[], yticks=[], xlabel='class', ylabel='class')

    energies = 100 * singular_energies(pool)[:6]
    axes[0, 1].bar(range(1, len(energies) + 1), energies)
    axes[0, 1].set_title('energy of singular\nvectors, %', fontsize='small')
    axes[0, 1].set(ylim=(0, 100), xticks=range(1, len(energies) + 1))

    vectors = np.linalg.svd(pool.reshape(len(pool), -1), full_matrices=False)[2][:NUM_VECTORS]
    signs = np.sign(vectors @ pool.reshape(len(pool), -1).mean(axis=0))[:, None]
    shown = [('mean row', pool.mean(axis=0))]
    shown += [(f'singular vector {i}', vector.reshape(pool.shape[1:]))
              for i, vector in enumerate(vectors * np.where(signs == 0, 1, signs), 1)]
    chosen = np.linspace(0, len(pool) - 1, min(NUM_ROWS, len(pool))).round().astype(int)
    shown_rows = [(names[k], pool[k]) for k in chosen]
    for cells, maps in ((axes[0, 2:], shown), (axes[1], shown_rows)):
        for axis in cells:
            axis.set_axis_off()
        for axis, (name, values) in zip(cells, maps, strict=False):
            axis.imshow(values, cmap='viridis')
            axis.set_title(name, fontsize='small')
    return figure
