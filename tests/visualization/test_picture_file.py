import os

import cv2
import numpy as np
import pytest

from cicam_mm.utils.errors import as_sentence
from cicam_mm.visualization.pictures import write_picture


def test_a_full_disk_leaves_the_earlier_picture(tmp_path, full_disk):
    path = tmp_path / 'a.png'
    write_picture(path, np.full((4, 5, 3), (200, 10, 30), np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    with pytest.raises(OSError) as error, full_disk(1000):
        write_picture(path, noise)
    assert as_sentence(error.value) == f'{path} was not written: File too large'
    assert os.listdir(tmp_path) == ['a.png']
    assert cv2.imread(str(path))[3, 4].tolist() == [30, 10, 200]
