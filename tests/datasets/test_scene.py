import numpy as np
import pytest

from cicam_mm.datasets.scene import CONTEXTS, OBJECT_SIZE, PATTERNS, SIZE, draw_body, draw_scene


def scenes(count, pattern='dotted', context='sand'):
    return [draw_scene(pattern, context, np.random.default_rng(i)) for i in range(count)]


def test_box_encloses_the_mask_exactly():
    for scene in scenes(100):
        ys, xs = np.nonzero(scene.mask)
        assert scene.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert scene.mask.dtype == np.uint8 and set(np.unique(scene.mask)) == {0, 1}
        assert scene.image.shape == (SIZE, SIZE, 3) and scene.image.dtype == np.uint8


def test_objects_are_inside_and_of_the_promised_size():
    boxes = np.array([scene.box for scene in scenes(300)])
    sizes = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    low, high = OBJECT_SIZE
    assert low - 1 <= sizes.min() < low + 3 and high - 3 < sizes.max() <= high + 1
    assert boxes.min() >= 1 and boxes.max() <= SIZE - 1


def test_objects_are_solid():
    for scene in scenes(50):
        x0, y0, x1, y1 = scene.box
        assert scene.mask.sum() > 0.3 * (x1 - x0) * (y1 - y0)


@pytest.mark.parametrize('pattern', PATTERNS)
def test_a_pattern_covers_the_whole_body(pattern):
    """Each quarter of the picture has both inks, in about the share of the whole."""
    for seed in range(10):
        grey = draw_body(pattern, np.random.default_rng(seed)).mean(axis=2)
        ink = grey > (grey.min() + grey.max()) / 2
        quarters = [q for half in np.split(ink, 2) for q in np.split(half, 2, axis=1)]
        assert 0.1 < ink.mean() < 0.9
        np.testing.assert_allclose([q.mean() for q in quarters], ink.mean(), atol=0.15)


def test_contrast_fades_the_ink_into_the_ground():
    full, half, none = (draw_body('dotted', np.random.default_rng(0), contrast)
                        for contrast in (1, 0.5, 0))
    np.testing.assert_allclose(half, (full + none) / 2, rtol=1e-4)
    assert full.std() > 2 * none.std()  # what is left is the light


@pytest.mark.parametrize('context', CONTEXTS)
def test_a_context_fills_the_background_and_varies(context):
    first, second = (CONTEXTS[context](np.random.default_rng(seed)) for seed in (0, 1))
    assert first.shape == (SIZE, SIZE, 3) and first.std() > 5
    assert np.abs(first - second).mean() > 5


def test_another_context_keeps_the_object():
    sand, wood = (draw_scene('dotted', name, np.random.default_rng(0))
                  for name in ('sand', 'wood'))
    assert (sand.mask == wood.mask).all()
    inside = np.pad(sand.mask, 1)[2:, 1:-1] & np.pad(sand.mask, 1)[:-2, 1:-1] & sand.mask
    difference = np.abs(sand.image.astype(int) - wood.image).max(axis=2)
    assert difference[inside == 1].mean() < 1 < 5 < difference[sand.mask == 0].mean()


def test_equal_generators_draw_equal_scenes():
    first, second = (draw_scene('ringed', 'water', np.random.default_rng(3)) for _ in range(2))
    assert (first.image == second.image).all() and first.box == second.box


def test_placement_moves_the_same_objects_to_the_middle():
    """Each centre lies 0.2 of the way from the picture's middle to where it would be anywhere."""
    for i in range(50):
        free, bound = (draw_scene('dotted', 'sand', np.random.default_rng(i), placement)
                       for placement in ('anywhere', 'middle'))
        (x, y), (x_bound, y_bound) = (np.add(scene.box[:2], scene.box[2:]) / 2 - SIZE / 2
                                      for scene in (free, bound))
        np.testing.assert_allclose((x_bound, y_bound), (0.2 * x, 0.2 * y), atol=1)
        assert int(bound.mask.sum()) == pytest.approx(int(free.mask.sum()), rel=0.03)


def test_each_class_has_a_place_of_its_own():
    """Two rows of three, with the objects inside the picture."""
    means = []
    for pattern in PATTERNS:
        boxes = np.array([draw_scene(pattern, 'sand', np.random.default_rng(i), 'by_class').box
                          for i in range(20)])
        means.append((boxes[:, :2] + boxes[:, 2:]).mean(axis=0) / 2)
        assert boxes.min() >= 0 and boxes.max() <= SIZE
    steps = np.diff(np.reshape(means, (2, 3, 2)), axis=1)
    assert (steps[..., 0] > 10).all() and (abs(steps[..., 1]) < 1).all()
    assert (means[3][1] - means[0][1]) > 20
