import mmcv
import numpy as np
from mmpretrain.datasets import CustomDataset

from cicam_mm.visualization import STYLES, draw_pool
from cicam_mm.visualization.overlay import color_table
from cicam_mm.visualization.pool_sheet import draw_pool_sheet, mean_images


def test_mean_images(tmp_path):
    for name, colors in {'a': [(0, 10, 20), (100, 30, 20)], 'b': [(7, 7, 7)]}.items():
        for i, color in enumerate(colors):
            image = np.full((10 + i, 20, 3), color, np.uint8)
            mmcv.imwrite(image, str(tmp_path / name / f'{i}.png'))
    means = mean_images(CustomDataset(data_root=str(tmp_path)), [1, 0, 5])
    assert means.shape == (3, 224, 224, 3) and means.dtype == np.uint8
    assert (means[0] == 7).all()
    assert (means[1] == (20, 20, 50)).all()  # files hold BGR
    assert (means[2] == 255).all()  # no such image


def test_context_stands_right_of_the_mean_image():
    context = np.zeros((2, 2))
    context[:, 1] = 1
    sheet = draw_pool_sheet([context], [np.full((224, 224, 3), 90, np.uint8)], ['duck'], width=900)
    line = sheet[sheet.shape[0] // 2]
    table = color_table(STYLES['paper'])
    low, high = (np.flatnonzero((line == table[i]).all(axis=1)) for i in (0, 255))
    mean = np.flatnonzero((line == 90).all(axis=1))
    assert mean.size > 100 and mean.max() < low.min() < low.max() < high.min()


def test_sheet_of_a_data_set(tmp_path):
    """Mean images and names of its classes; without it white, and numbers."""
    for name, value in (('auk', 0), ('duck', 200)):
        mmcv.imwrite(np.full((9, 9, 3), value, np.uint8), str(tmp_path / name / 'a.png'))
    contexts, dataset = np.ones((2, 3, 3)), CustomDataset(data_root=str(tmp_path))
    duck, white = ([np.full((224, 224, 3), value, np.uint8)] for value in (200, 255))
    np.testing.assert_array_equal(draw_pool(contexts, dataset, [1], width=300),
                                  draw_pool_sheet(contexts[1:], duck, ['duck'], width=300))
    np.testing.assert_array_equal(draw_pool(contexts),
                                  draw_pool_sheet(contexts, white * 2, ['class 0', 'class 1']))
