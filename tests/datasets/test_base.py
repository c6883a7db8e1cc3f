import pytest

from cicam_mm import datasets
from cicam_mm.datasets import ConfoundedShapes


@pytest.mark.parametrize(('indices', 'images'), [
    (5, [0, 1, 2, 3, 4]), (-2, [3, 4]), ([4, 0, -2], [4, 0, 3])])
def test_images_that_are_there(indices, images):
    whole, part = ConfoundedShapes(num_images=5), ConfoundedShapes(num_images=5, indices=indices)
    assert [part[i]['img'].tobytes() for i in range(len(part))] == [
        whole[image]['img'].tobytes() for image in images]


@pytest.mark.parametrize(('indices', 'says'), [
    (-6, 'indices=-6 go beyond the 5 images of ConfoundedShapes, counted from 0.'),
    ([0, 5, 9], 'indices=[0, 5, 9] go beyond the 5 images of ConfoundedShapes, counted from 0.'),
    ([], 'indices=[] leave no image of ConfoundedShapes.'),
])
def test_images_beyond_the_data_set(indices, says):
    with pytest.raises(ValueError) as error:
        ConfoundedShapes(num_images=5, indices=indices)
    assert str(error.value) == says


def test_every_data_set_checks():
    names = [name for name in datasets.__all__ if 'Local' in name or 'Shapes' in name]
    assert len(names) == 5
    for name in names:
        kind = getattr(datasets, name)
        for method in kind._get_unserialized_subset, kind.filter_data:
            assert method.__module__ == 'cicam_mm.datasets.base'
