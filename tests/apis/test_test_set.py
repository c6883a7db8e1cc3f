from pathlib import Path

import numpy as np
import pytest

from cicam_mm.apis import read_config, sample_images
from cicam_mm.datasets.wrappers import build_dataset


def test_test_images_spread_evenly(config):
    config.test_dataloader.dataset.num_images = 5
    dataset = build_dataset(config.test_dataloader.dataset)
    for limit, expected in (1, [0]), (2, [0, 3]), (4, [0, 2, 4]), (5, range(5)):
        images = sample_images([], config, limit)
        np.testing.assert_array_equal(images, [dataset.get_data_info(i)['img'] for i in expected])


def test_files_come_first_and_a_missing_test_set_is_empty(tmp_path):
    cfg = read_config('cicam_mm::cicam_vgg16_cub.py')
    cfg.test_dataloader.dataset.data_root = str(tmp_path / 'absent')
    assert sample_images([], cfg, 5) == []
    files = [str(tmp_path / f'{i}.png') for i in range(3)]
    for file in files:
        Path(file).touch()
    (tmp_path / 'Thumbs.db').touch()
    assert sample_images([tmp_path], cfg, 2) == files[::2]
    named = str(tmp_path / 'Thumbs.db')
    for paths in [named], [f'{tmp_path}/*.db']:  # reading it says why it is not an image
        assert sample_images(paths, cfg, 2) == [named]
    cfg.test_dataloader.dataset.data_root = str(tmp_path)
    (tmp_path / 'images.txt').mkdir()  # damaged, not missing
    with pytest.raises(IsADirectoryError):
        sample_images([], cfg, 5)
