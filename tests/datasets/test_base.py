import pytest
from mmpretrain.registry import DATASETS

import cicam_mm


def build(indices):
    return DATASETS.build(dict(type='ConfoundedShapes', num_images=5, indices=indices))


@pytest.mark.parametrize(('indices', 'images'), [
    (5, [0, 1, 2, 3, 4]), (-2, [3, 4]), ([4, 0, -2], [4, 0, 3])])
def test_images_that_are_there(indices, images):
    whole, part = build(None), build(indices)
    assert [info['img'].tobytes() for info in map(part.get_data_info, range(len(part)))] == [
        whole.get_data_info(image)['img'].tobytes() for image in images]


@pytest.mark.parametrize(('indices', 'says'), [
    (-6, 'indices=-6 asks for 6 images of ConfoundedShapes, which has 5.'),
    ([0, 5, 9], 'indices include 5 (2 out of range in all), but ConfoundedShapes has 5 images, '
     'counted from 0.'),
    ([], 'indices=[] leave no image of ConfoundedShapes.'),
])
def test_images_beyond_the_data_set(indices, says):
    with pytest.raises(ValueError) as error:
        build(indices)
    assert str(error.value).endswith(says)


def test_every_data_set_checks():
    names = [name for name in cicam_mm.datasets.__all__ if 'Local' in name or 'Shapes' in name]
    assert len(names) == 5
    for name in names:
        kind = getattr(cicam_mm.datasets, name)
        for method in kind._get_unserialized_subset, kind.filter_data:
            assert method.__module__ == 'cicam_mm.datasets.base'
