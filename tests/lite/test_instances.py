import numpy as np
import pytest

from cicam_lite import find_boxes, find_instances, get_box_rule, refine_by_grabcut, resize_mask
from cicam_lite.instances import Instance, components

MAP = np.array([[9, 9, 0, 0, 0, 0],
                [9, 9, 0, 0, 0, 5],
                [0, 0, 7, 0, 0, 5],
                [0, 0, 0, 0, 0, 5]], np.float32)


def boxes(rule, theta=.4, ori_shape=(4, 6), **options):
    found = find_instances(MAP, get_box_rule(rule), theta, MAP.shape, ori_shape, **options)
    return [each.box.tolist() for each in found], [int(each.mask.sum()) for each in found]


def test_components_by_hand():
    # 7 touches the corner of 9: one component where neighbours may be diagonal
    assert boxes('ts_cam') == ([[0, 0, 3, 3], [5, 1, 6, 4]], [5, 3])
    assert boxes('ci_cam') == ([[0, 0, 2, 2], [5, 1, 6, 4], [2, 2, 3, 3]], [4, 3, 1])
    assert boxes('wsoleval')[0] == [[0, 0, 3, 3], [5, 1, 5, 3]]  # at most size - 1
    assert boxes('eil')[0] == [[0, 0, 2, 2], [5, 1, 5, 3]]  # as released, ends included


def test_boxes_and_masks_in_pixels_of_the_original():
    found = find_instances(MAP, get_box_rule('ci_cam'), .4, (4, 6), (40, 120))
    assert [each.box.tolist() for each in found] == [
        [0, 0, 40, 20], [100, 10, 120, 40], [40, 20, 60, 30]]
    mask = resize_mask(found[1], (40, 120))
    y, x = np.nonzero(mask)
    assert mask.shape == (40, 120) and (x.min(), y.min()) == (100, 10)
    assert mask.sum() == pytest.approx(600, rel=.05)  # corners are rounded


def test_min_area_keeps_the_largest():
    assert boxes('ci_cam', min_area=3 / 24)[1] == [4, 3]
    assert boxes('ci_cam', min_area=.9)[1] == [4]


@pytest.mark.parametrize('rule', ['ci_cam', 'nl_ccam', 'wsoleval', 'wsoleval_bicubic', 'ts_cam',
                                  'adl', 'rethinking', 'eil', 'danet'])
@pytest.mark.parametrize('score_map', [MAP, np.zeros_like(MAP)], ids=['blobs', 'nothing'])
def test_one_instance_is_the_box_of_the_rule(rule, score_map):
    sizes = (12, 18), (31, 47)
    found, = find_instances(score_map, get_box_rule(rule), .3, *sizes, every=False)
    expected = find_boxes(score_map[None], get_box_rule(rule), .3, *sizes)[0]
    np.testing.assert_array_equal(found.box, expected)
    assert len(find_instances(score_map, get_box_rule(rule), .3, *sizes)) == (
        len(components(MAP > 2)) if score_map.any() else 1)


def test_image_of_one_pixel():
    found = find_instances(MAP, get_box_rule('ci_cam'), .4, (4, 6), (1, 1))
    assert [resize_mask(each, (1, 1)).shape for each in found] == [(1, 1)] * 3
    image = np.zeros((1, 1, 3), np.uint8)
    assert refine_by_grabcut(image, MAP, found[0], (1, 1)) is found[0]


def test_grabcut_finds_the_edges_of_the_object():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 40, (80, 120, 3), np.uint8)
    image[20:60, 30:90] += 200  # the object
    image[10:16, 100:110] += 200  # another one, in the same box
    y, x = np.mgrid[:8, :12]
    score_map = np.exp(-((y - 3.5)**2 + (x - 5.5)**2) / 12).astype(np.float32)
    rough = Instance(np.array([20, 5, 230, 150]), np.zeros((80, 120), bool))
    rough.mask[10:70, 20:112] = True
    fine = refine_by_grabcut(image, score_map, rough, (160, 240))  # drawn at half the size
    assert fine.box.tolist() == [60, 40, 180, 120]
    again = refine_by_grabcut(image, score_map, rough, (160, 240))
    np.testing.assert_array_equal(fine.mask, again.mask)


def test_nothing_to_tell_apart_leaves_the_instance():
    whole = Instance(np.array([0, 0, 60, 40]), np.ones((4, 6), bool))
    image = np.zeros((40, 60, 3), np.uint8)
    assert refine_by_grabcut(image, MAP, whole, (40, 60)) is whole


@pytest.mark.parametrize('rule', ['bas', 'ddt', 'ci_cam'])
def test_a_map_that_is_not_finite_has_one_instance_its_box(rule):
    score_map = MAP.copy()
    score_map[0, 0] = np.inf
    found, = find_instances(score_map, get_box_rule(rule), .4, MAP.shape, MAP.shape)
    expected, = find_boxes(score_map[None], get_box_rule(rule), .4, MAP.shape, MAP.shape)
    assert found.box.tolist() == expected.tolist() == [0, 0, 6, 4]
