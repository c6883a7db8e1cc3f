from collections import Counter

import numpy as np
import pytest

from cicam_mm.datasets import ConfoundedShapes
from cicam_mm.datasets.scene import SIZE, draw_scene


def images(data, indices):
    return np.stack([data[i]['img'] for i in indices])


def test_fields():
    data = ConfoundedShapes(num_images=12)
    info = data[7]
    assert len(data) == 12 and len(data.metainfo['classes']) == len(data.metainfo['contexts']) == 6
    assert info['img'].shape == (96, 96, 3) and info['img'].dtype == np.uint8
    assert info['img_shape'] == info['ori_shape'] == info['gt_mask'].shape == (96, 96)
    (instance, ) = info['instances']
    assert instance['bbox_label'] == info['gt_label'] == 1
    ys, xs = info['gt_mask'].nonzero()
    assert instance['bbox'] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def test_pictures_stay_as_they_are():
    """Those that the weights of the demo were trained on, by the mean of each colour."""
    data = ConfoundedShapes('test', num_images=6, seed=3)
    np.testing.assert_allclose(images(data, range(6)).mean(axis=(1, 2)), [
        [127.0, 146.3, 166.4], [121.2, 138.9, 174.2], [109.2, 148.7, 166.6],
        [153.1, 113.9, 136.8], [158.4, 141.4, 93.9], [109.6, 148.1, 114.3]], atol=.06)


def test_a_picture_depends_on_seed_split_and_index_only():
    data = ConfoundedShapes(num_images=4)
    pictures = images(data, range(4))
    assert (images(ConfoundedShapes(num_images=30), [3, 2]) == pictures[[3, 2]]).all()
    assert (images(data, [2]) == pictures[2]).all()
    for other in (ConfoundedShapes(num_images=4, seed=1), ConfoundedShapes('test', num_images=4)):
        assert all((images(other, range(4)) != pictures).any(axis=(1, 2, 3)))


def test_kept_pictures_are_those_drawn(monkeypatch):
    kept = ConfoundedShapes(num_images=6, keep_drawn=True)
    expected = images(ConfoundedShapes(num_images=6), range(6))
    assert (images(kept, range(6)) == expected).all()
    kept.get_data_info(2)['img'][:] = 0  # what a transform does to a sample stays with it
    kept.get_data_info(2)['gt_mask'][:] = 7
    monkeypatch.setattr('cicam_mm.datasets.confounded_shapes.draw_scene', None)
    assert (images(kept, range(6)) == expected).all()
    assert kept.get_data_info(2)['gt_mask'].max() == 1


def test_another_rho_shows_the_same_objects():
    free, bound = (ConfoundedShapes(num_images=12, rho=rho) for rho in (0, 1))
    for i in range(12):
        first, second = free.get_data_info(i), bound.get_data_info(i)
        assert (first['gt_mask'] == second['gt_mask']).all()
        assert second['context'] == second['gt_label']
        assert (first['img'] == second['img']).all() == (first['context'] == second['context'])


def test_labels_of_scenes():
    patterns, scenes = (ConfoundedShapes(num_images=36, rho=0, label=label)
                        for label in ('pattern', 'scene'))
    assert len(scenes.metainfo['classes']) == 36
    for i in range(0, 36, 5):
        first, second = patterns.get_data_info(i), scenes.get_data_info(i)
        assert second['gt_label'] == second['instances'][0]['bbox_label'] == (
            6 * first['gt_label'] + first['context'])
        assert scenes.metainfo['classes'][second['gt_label']] == (
            f'{patterns.metainfo["classes"][first["gt_label"]]} on '
            f'{patterns.metainfo["contexts"][first["context"]]}')


def test_only_training_is_confounded():
    """The own context has probability rho + (1 - rho) / 6."""
    def own(**kwargs):
        data = ConfoundedShapes(num_images=300, **kwargs).load_data_list()
        assert set(Counter(info['gt_label'] for info in data).values()) == {50}
        return np.mean([info['gt_label'] == info['context'] for info in data])

    assert own(rho=0.8) == pytest.approx(0.8 + 0.2 / 6, abs=0.06)
    assert own(rho=0.8, split='test') == pytest.approx(1 / 6, abs=0.06)


@pytest.mark.parametrize('option, message', [
    (dict(split='val'), "unknown split 'val'; known are 'train', 'test'"),
    (dict(rho=1.2), r'in \[0, 1\], not 1.2'), (dict(num_images=0), 'has no image')])
def test_options_out_of_range(option, message):
    with pytest.raises(ValueError, match=message):
        ConfoundedShapes(**option)


def test_placement_moves_the_same_objects_to_the_middle():
    """Each centre lies 0.2 of the way from the picture's middle to where it would be anywhere."""
    for i in range(8):
        free, bound = (draw_scene('dotted', 'sand', np.random.default_rng(i), placement)
                       for placement in ('anywhere', 'middle'))
        (x, y), (x_bound, y_bound) = (np.add(scene.box[:2], scene.box[2:]) / 2 - SIZE / 2
                                      for scene in (free, bound))
        np.testing.assert_allclose((x_bound, y_bound), (0.2 * x, 0.2 * y), atol=1)
        assert int(bound.mask.sum()) == pytest.approx(int(free.mask.sum()), rel=0.03)
