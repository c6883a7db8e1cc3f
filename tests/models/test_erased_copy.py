import pytest
import torch

from cicam_mm.models import ErasedCopy


def test_training_appends_what_is_left():
    # the mean over the channels is 1 and 3; 3 is above 70 % of itself
    x = torch.tensor([[[[1., 4]], [[1, 2]]]])
    assert ErasedCopy(.7)(x).tolist() == [[[[1, 4]], [[1, 2]]], [[[1, 0]], [[1, 0]]]]


def test_testing_is_the_identity():
    x = torch.rand(2, 3, 4, 4)
    assert ErasedCopy().eval()(x) is x


def test_two_depths_make_four_batches():
    # 10 positions valued 1 to 10: first 7 and more go, and of the rest 5 (.7 * 6 = 4.2) and more
    x = torch.arange(1., 11).view(1, 1, 1, 10)
    first, second = ErasedCopy(.7), ErasedCopy(.7)
    batches = second(first(x)).flatten(1).tolist()
    kept = [*range(1, 11)], [1, 2, 3, 4, 5, 6, 0, 0, 0, 0]
    assert batches == [*kept, kept[1], [1, 2, 3, 4, 0, 0, 0, 0, 0, 0]]


def test_gradient_is_that_of_what_is_kept():
    x = torch.tensor([[[[1., 4]]]], requires_grad=True)
    ErasedCopy(.7)(x)[1].sum().backward()
    assert x.grad.tolist() == [[[[1, 0]]]]


def test_has_no_parameters_and_checks_its_threshold():
    assert not ErasedCopy().state_dict()
    with pytest.raises(ValueError, match=r'gamma must be a share in \[0, 1\], got 1.2'):
        ErasedCopy(1.2)
