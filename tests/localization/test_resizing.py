import numpy as np
import pytest
import torch

from cicam_mm.evaluation.score_map import resize_map
from cicam_mm.localization.resizing import bicubic, bilinear, normalized_bilinear, upsample


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


def test_bicubic_is_that_of_the_metrics():
    maps = torch.rand(3, 7, 9)
    for resized, score_map in zip(bicubic(maps, (20, 30)), maps, strict=True):
        assert (resized == resize_map(score_map.numpy(), (20, 30))).all()


def test_each_map_is_normalized_on_its_own():
    maps = torch.tensor([[[1., 3, 5]], [[0., 0, 0.5]], [[2, 2, 2]]])
    assert normalized_bilinear(maps, (1, 3)).tolist() == [
        [[0, .5, 1]], [[0, 0, 1]], [[0, 0, 0]]]
