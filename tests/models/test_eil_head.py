import math

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample


def build(kind='EILHead', **options):
    return MODELS.build(dict(type=kind, num_classes=3, in_channels=2, **options))


def labelled(*labels):
    return [DataSample().set_gt_label(label) for label in labels]


def test_losses_by_hand():
    head = build(cal_acc=True, topk=(1, ), erased_loss_weight=.5)
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
    head, feats = build(), torch.randn(4, 2, 3, 3)
    both = head.loss((feats, ), labelled(0, 2))
    swapped = head.loss((feats[[1, 0, 3, 2]], ), labelled(2, 0))
    torch.testing.assert_close(swapped, both)
    assert not torch.isclose(head.loss((feats, ), labelled(2, 0))['loss_erased'],
                             both['loss_erased'])


def test_prediction_is_that_of_cam():
    head, cam = build(), build('CAMHead')
    cam.load_state_dict(head.state_dict())  # no parameters but these
    feats = (torch.rand(2, 2, 4, 4), )
    samples = [DataSample(metainfo=dict(img_shape=(8, 8), ori_shape=(8, 8))) for _ in range(4)]
    for a, b in zip(head.predict(feats, samples[:2]), cam.predict(feats, samples[2:]),
                    strict=True):
        assert a.score_map.equal(b.score_map) and a.pred_boxes.equal(b.pred_boxes)


@pytest.mark.parametrize('images', [1, 2, 3])
def test_missing_copies_are_explained(images):
    with pytest.raises(ValueError, match=f'got features of {images} images for 2 labels.*type='
                       "'ErasedCopy'"):
        build().loss((torch.zeros(images, 2, 3, 3), ), labelled(0, 1))
