import numpy as np
import pytest
import torch
from mmpretrain.registry import TASK_UTILS
from mmpretrain.structures import DataSample

from cicam_mm.evaluation import MaxBoxAcc
from cicam_mm.localization import best_box
from cicam_mm.utils.errors import UserError


def sample(height, width):
    return DataSample(metainfo=dict(ori_shape=(height, width), img_shape=(224, 224)))


@pytest.mark.parametrize(('frame', 'boxes'), [
    ('original', [[20, 25, 80, 50], [40, 50, 160, 100]]),
    ('input', [[45, 112, 179, 224], [45, 112, 179, 224]])])
def test_the_same_share_of_every_image(frame, boxes):
    localizer = TASK_UTILS.build(
        dict(type='FixedBoxLocalizer', box=(0.2, 0.5, 0.8, 1), frame=frame))
    maps = localizer.score_maps(None, torch.rand(2, 6), torch.zeros(2, 5, dtype=torch.int64))
    samples = [sample(50, 100), sample(100, 200)]
    assert localizer.boxes(maps, samples)[:, 0].tolist() == boxes
    assert [each.box_frame for each in samples] == [frame] * 2


def test_metrics_of_maps_judge_the_same_box():
    localizer = TASK_UTILS.build(dict(type='FixedBoxLocalizer', box=(0.25, 0.25, 0.75, 0.75)))
    score_map = localizer.score_maps(None, torch.rand(1, 3), torch.zeros(1, 1).long())[0, 0]
    metric = MaxBoxAcc(interval=0.25)
    for box, hit in ([56, 56, 168, 168], True), ([112, 112, 224, 224], False):
        count = metric.count(dict(label_map=score_map, gt_bboxes=np.array([box]),
                                  ori_shape=(224, 224), img_shape=(224, 224)))
        assert count[0].any() == hit


def test_box_that_fits_most():
    truths = [[0.2, 0.2, 0.6, 0.8]] * 3 + [[0, 0, 0.1, 0.1], [0.7, 0.7, 1, 1]]
    box, found = best_box(truths, steps=10)
    # the first one that overlaps by half: .18 of .24 + .30 - .18
    assert found == 60 and box.tolist() == [0, .2, .5, .8]
    assert best_box(truths[3:4], steps=10)[1] == 100


def test_box_outside_is_refused():
    with pytest.raises(UserError, match='as shares of the width and height'):
        TASK_UTILS.build(dict(type='FixedBoxLocalizer', box=(0, 0, 100, 80)))
