import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from cicam_mm.sweep.report import judge_images


def make_sample(width, label=0):
    """A box which covers so many of the 100 columns of the ground truth."""
    sample = DataSample().set_pred_label(0).set_gt_label(label)
    sample.set_data(dict(pred_box=torch.tensor([0, 0, width - 1, 99]),
                         gt_bboxes=np.array([[0., 0, 99, 99]])))
    return sample


def test_shares_and_extremes():
    samples = [make_sample(90), make_sample(20), make_sample(60), make_sample(100, label=1)]
    judged = judge_images(samples, count=1)
    assert judged.error_kinds == dict(classification_error=25, correct=50, multi_instance=0,
                                      part=25, more=0, others=0)
    assert judged.best == [samples[3]] and judged.worst == [samples[1]]


def test_many_images_keep_few():
    widths = np.random.default_rng(0).permutation(np.arange(1, 101)).tolist()
    judged = judge_images((make_sample(width) for width in widths), count=2)
    assert [int(s.pred_box[2]) + 1 for s in judged.best] == [100, 99]
    assert [int(s.pred_box[2]) + 1 for s in judged.worst] == [1, 2]
    assert judged.error_kinds['correct'] == 50  # widths 51 to 100


@pytest.mark.parametrize(('number', 'best', 'worst'), [(1, 1, 0), (2, 1, 1), (5, 3, 2)])
def test_no_image_is_best_and_worst(number, best, worst):
    judged = judge_images([make_sample(9 + i) for i in range(number)])
    assert (len(judged.best), len(judged.worst)) == (best, worst)


def test_nothing_to_judge():
    with pytest.raises(ValueError, match='no predictions'):
        judge_images([])
    sample = make_sample(9)
    del sample.gt_bboxes
    with pytest.raises(ValueError, match="has no 'gt_bboxes'"):
        judge_images([sample])
