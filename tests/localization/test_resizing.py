import numpy as np
import pytest
import torch

from cicam_lite import resizing
from cicam_lite.resizing import resize_bicubic
from cicam_mm.localization.boxes import RESIZINGS, bicubic, bilinear, stretched, upsample


def test_half_pixel_centres():
    # worked out by hand: centres at 0.25 and 0.75 of each source pixel, edges repeated
    assert upsample(torch.tensor([[[[0., 4]]]]), (1, 4)).tolist() == [[[[0, 1, 3, 4]]]]
    assert bilinear(torch.tensor([[[0., 0, 4, 4]]]), (1, 8)).tolist() == [
        [[0, 0, 0, 1, 3, 4, 4, 4]]]


def test_bicubic_overshoots():
    # the pixel at 0.75 sees the first 4 from 1.25 away, where Keys' kernel with a = -0.75 is
    # a (1.25^3 - 5 * 1.25^2 + 8 * 1.25 - 4) = -27 / 256; the rest sees zeros
    resized = bicubic(torch.tensor([[[0., 0, 4, 4]]]), (1, 8))
    assert resized.shape == (1, 1, 8) and resized.dtype == np.float64
    assert resized[0, 0, 2] == pytest.approx(-27 / 64)
    assert resized[0, 0, 5] == pytest.approx(4 + 27 / 64)


def test_resizing_is_bicubic_and_overshoots():
    # weights of the cubic kernel (a = -3/4) at distance 3/4, 5/4 and 7/4, from half-pixel centres
    w3, w5, w7 = 0.26171875, -0.10546875, -0.03515625
    step = resize_bicubic([[0, 0, 1, 1]], (1, 8))
    np.testing.assert_allclose(
        step, [[0, w7, w5, w3 + w7, 1 - w3 - w7, 1 - w5, 1 - w7, 1]], atol=1e-12)
    assert step.dtype == np.float64


def test_resizing_takes_height_first():
    assert resize_bicubic(np.zeros((2, 3)), (5, 7, 3)).shape == (5, 7)


def test_maps_are_resized_one_by_one():
    maps = torch.rand(3, 7, 9)
    for resized, score_map in zip(bicubic(maps, (20, 30)), maps, strict=True):
        assert (resized == resize_bicubic(score_map.numpy(), (20, 30))).all()


def test_each_map_is_normalized_on_its_own():
    maps = torch.tensor([[[1., 3, 5]], [[0., 0, 0.5]], [[2, 2, 2]]])
    assert stretched(maps, (1, 3)).tolist() == [
        [[0, .5, 1]], [[0, 0, 1]], [[0, 0, 0]]]


def test_opencv_resizes_as_torch_does():
    maps = torch.rand(3, 7, 9)
    assert RESIZINGS.keys() == resizing.RESIZINGS.keys()
    for name, resize in RESIZINGS.items():
        np.testing.assert_allclose(
            resizing.RESIZINGS[name](maps.numpy(), (30, 40)), resize(maps, (30, 40)), atol=1e-6)
