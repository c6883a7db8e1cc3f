import numpy as np
import pytest

from cicam_mm.datasets import HideAndSeek


def image(size=(50, 70)):
    return np.random.default_rng(0).integers(130, 256, (*size, 3), dtype=np.uint8)


def test_hidden_pixels_have_the_mean_and_others_stay():
    out = HideAndSeek(sides=(8, ), mean=(1.5, 2.5, 3.5))(dict(img=image()))['img']
    assert out.dtype == np.float32
    hidden = (out == (1.5, 2.5, 3.5)).all(axis=2)
    np.testing.assert_array_equal(out[~hidden], image()[~hidden])
    for y in range(0, 50, 8):  # whole cells
        for x in range(0, 70, 8):
            assert len(np.unique(hidden[y:y + 8, x:x + 8])) == 1


def test_side_zero_hides_nothing_and_sides_are_mixed():
    assert (HideAndSeek(sides=(0, ))(dict(img=image()))['img'] == image()).all()
    mixed = HideAndSeek(sides=(0, 50), prob=1.)
    hidden = [(mixed(dict(img=image()))['img'] < 130).all() for _ in range(50)]
    assert 10 < sum(hidden) < 40


def test_probability_is_checked():
    with pytest.raises(ValueError, match='prob must be a probability'):
        HideAndSeek(prob=50)
