import math

import pytest
import torch

from cicam_mm.models.spg import sure_pixel_loss, sure_pixels


def image(*parts):
    """An image of ten columns; parts are counts and values of its pixels."""
    return torch.cat([torch.full((count, ), value) for count, value in parts]).view(1, 1, -1, 10)


def counts(labels):
    return [int((labels == value).sum()) for value in (0, 1, 255)]


def test_labels_by_hand():
    # 40 above 0.7, 20 below 0.05, and values that equal a threshold belong to neither
    attention = image((40, .9), (10, .7), (10, .3), (10, .05), (20, .01), (10, math.nan))
    assert counts(sure_pixels(attention, .7, .05)) == [20, 40, 40]


def test_zeros_and_ones_are_all_sure():
    assert counts(sure_pixels(image((40, 1.), (60, 0.)), .7, .05)) == [60, 40, 0]


def test_too_few_object_pixels():
    # 29 are too few: from 0.7 * 0.9 = 0.63 on is object, 30 are enough
    assert counts(sure_pixels(image((29, .9), (21, .65), (50, .3)), .7, .05)) == [0, 50, 50]
    assert counts(sure_pixels(image((30, .9), (20, .65), (50, .3)), .7, .05)) == [0, 30, 70]
    # nothing but 0.3: cut at 0.21, so that all is object
    assert counts(sure_pixels(image((100, .3)), .7, .05)) == [0, 100, 0]


def test_background_goes_first():
    # above 0.7 * 0.04 and below 0.05
    assert counts(sure_pixels(image((100, .04)), .7, .05)) == [100, 0, 0]


def test_each_image_has_its_own_threshold():
    first, second = image((29, .9), (71, .65)), image((50, .9), (50, .65))
    assert sure_pixels(torch.cat([first, second]), .7, .05)[1].equal(
        sure_pixels(second, .7, .05)[0])


def test_loss_by_hand():
    logits = torch.tensor([0., 2, 2, 5]).view(1, 1, 2, 2)
    labels = torch.tensor([1, 1, 0, 255], dtype=torch.uint8).view(1, 1, 2, 2)
    expected = (math.log(2) + math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))) / 3
    assert sure_pixel_loss(logits, labels).item() == pytest.approx(expected)


def test_loss_of_nothing_is_zero():
    logits = torch.ones(1, 1, 2, 2, requires_grad=True)
    loss = sure_pixel_loss(logits, torch.full((1, 1, 2, 2), 255, dtype=torch.uint8))
    loss.backward()
    assert loss == 0 and not logits.grad.any()
