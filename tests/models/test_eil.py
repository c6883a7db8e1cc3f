import math

import pytest
import torch
from head_parts import labelled

from cicam_mm.models import EILHead, ErasedCopy


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


def test_losses_by_hand():
    head = EILHead(3, 2, cal_acc=True, topk=(1, ), erased_loss_weight=.5)
    head.fc.weight.data = torch.tensor([[1., 0], [0, 1], [0, 0]])
    head.fc.bias.data.zero_()
    # scores (2, 0, 0) for the image, (0, 0, 0) for two erased copies; the label is 0
    feats = torch.zeros(3, 2, 2, 2)
    feats[0, 0] = 2
    losses = head.loss((feats, ), labelled(0))
    torch.testing.assert_close(losses.pop('loss_unerased').item(), math.log(1 + 2 * math.exp(-2)))
    torch.testing.assert_close(losses.pop('loss_erased').item(), .5 * 2 * math.log(3))
    assert losses == {'accuracy_top-1': [100]}


def test_copies_belong_to_the_labels_in_order():
    head, feats = EILHead(3, 2), torch.randn(4, 2, 3, 3)
    both = head.loss((feats, ), labelled(0, 2))
    swapped = head.loss((feats[[1, 0, 3, 2]], ), labelled(2, 0))
    torch.testing.assert_close(swapped, both)
    assert not torch.isclose(head.loss((feats, ), labelled(2, 0))['loss_erased'],
                             both['loss_erased'])


@pytest.mark.parametrize('images', [1, 2, 3])
def test_missing_copies_are_explained(images):
    with pytest.raises(ValueError, match=f'got features of {images} images for 2 labels.*type='
                       "'ErasedCopy'"):
        EILHead(3, 2).loss((torch.zeros(images, 2, 3, 3), ), labelled(0, 1))
