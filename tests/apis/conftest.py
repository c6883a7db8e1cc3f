import numpy as np
import pytest
from mmengine.registry import DefaultScope
from PIL import Image

from cicam_mm.apis import WSOLInferencer


@pytest.fixture
def config(small_demo):
    return small_demo()


@pytest.fixture(scope='session')
def checkpoint(small_demo, save_untrained, tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint') / 'epoch_1.pth'
    save_untrained(small_demo(), path, dataset_meta=dict(classes=tuple('abcdef')))
    return str(path)


@pytest.fixture(scope='session')
def inferencer(small_demo, checkpoint):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return WSOLInferencer(small_demo(), checkpoint)


@pytest.fixture(scope='session')
def images(tmp_path_factory):
    """A folder of twelve images with blocks of noise, of different sizes."""
    folder, random = tmp_path_factory.mktemp('images'), np.random.default_rng(0)
    for number in range(12):
        blocks = random.integers(0, 256, (4, 4 + number % 3, 3), dtype=np.uint8)
        Image.fromarray(blocks.repeat(10, 0).repeat(10, 1)).save(folder / f'{number:02d}.png')
    return folder


@pytest.fixture(scope='session')
def content():
    """The bytes of all files in a folder, by their paths in it."""
    return lambda folder: {str(path.relative_to(folder)): path.read_bytes()
                           for path in folder.rglob('*') if path.is_file()}
