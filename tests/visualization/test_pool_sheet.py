import mmcv
import numpy as np
from mmpretrain.datasets import CustomDataset

from cicam_mm.visualization import STYLES, draw_pool, pool_sheet
from cicam_mm.visualization.comparison import captioned
from cicam_mm.visualization.overlay import color_table
from cicam_mm.visualization.pool_sheet import mean_images


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


def test_context_stands_right_of_the_mean_image(tmp_path, monkeypatch):
    """Mean images and names are those of the data set; without it white, and numbers."""
    for name, value in (('auk', 0), ('duck', 90)):
        mmcv.imwrite(np.full((9, 9, 3), value, np.uint8), str(tmp_path / name / 'a.png'))
    contexts, captions = np.zeros((2, 2, 2)), []
    contexts[1, :, 1] = 1
    monkeypatch.setattr(pool_sheet, 'captioned', lambda panel, caption, *args: (
        captions.append(caption) or captioned(panel, caption, *args)))
    sheet = draw_pool(contexts, CustomDataset(data_root=str(tmp_path)), [1])
    line = sheet[sheet.shape[0] // 2]
    table = color_table(STYLES['paper'])
    low, high = (np.flatnonzero((line == table[i]).all(axis=1)) for i in (0, 255))
    mean = np.flatnonzero((line == 90).all(axis=1))
    assert mean.size > 100 and mean.max() < low.min() < low.max() < high.min()
    assert not (draw_pool(contexts, None, [1]) == 90).all(axis=2).any()
    draw_pool(contexts)
    assert captions == ['duck', 'class 1', 'class 0 (no context)', 'class 1']
