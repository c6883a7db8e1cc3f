import numpy as np
import pytest
import torch
from mmpretrain.registry import METRICS

from cicam_mm.evaluation.wsol_metric import WSOLMetric

OBJECT = [10., 10, 30, 30]
HIT, MISS = [10, 10, 30, 30], [60, 60, 90, 90]


def result(label, top_labels, pred_boxes, label_box, gt_bboxes=(OBJECT, )):
    return dict(
        gt_label=torch.tensor([label]),
        top_labels=torch.tensor(top_labels),
        pred_boxes=torch.tensor(pred_boxes),
        label_box=torch.tensor(label_box),
        gt_bboxes=np.array(gt_bboxes, np.float32),
        img_path='a.jpg')


def evaluate(results, **options):
    metric = METRICS.build(dict(type='WSOLMetric', **options))
    metric.process(None, results)
    return metric.evaluate(size=len(results))


def test_by_hand():
    """Four images: right and hit, right but missed, second best and hit, not among the best."""
    metrics = evaluate([
        result(3, [3, 1], [HIT, MISS], HIT),
        result(3, [3, 1], [MISS, HIT], MISS),
        result(1, [3, 1], [MISS, HIT], HIT),
        result(2, [3, 1], [HIT, HIT], HIT),
    ])
    assert metrics == {
        'wsol/top1_cls': 50, 'wsol/top5_cls': 75,
        'wsol/top1_loc': 25, 'wsol/top5_loc': 50, 'wsol/gt_known_loc': 75,
    }


def test_results_of_each_class():
    metric = WSOLMetric(topk=(1, ))
    metric.dataset_meta = dict(classes=('duck', 'grebe'))
    metric.process(None, [result(1, [1], [HIT], HIT), result(1, [0], [HIT], MISS),
                          result(2, [2], [MISS], HIT)])
    metric.evaluate(3)
    assert metric.per_class == {
        'grebe': dict(images=2, top1_cls=50, top1_loc=50, gt_known_loc=50),
        '2': dict(images=1, top1_cls=100, top1_loc=0, gt_known_loc=100)}


def test_two_classes_of_one_name_keep_their_results():
    metric = WSOLMetric(topk=(1, ))
    metric.dataset_meta = dict(classes=('duck', 'crane', 'crane'))
    metric.process(None, [result(label, [1], [HIT], HIT) for label in (1, 2)])
    metric.evaluate(2)
    assert {name: found['top1_cls'] for name, found in metric.per_class.items()} == {
        'crane': 100, 'crane (2)': 0}


@pytest.mark.parametrize(('strict', 'percent'), [(False, 100), (True, 0)])
def test_iou_of_just_the_threshold(strict, percent):
    # 10 x 10 pixels against 5 x 10 of them: 0.5
    box = [0, 0, 9, 4]
    metrics = evaluate([result(0, [0], [box], box, [[0., 0, 9, 9]])], strict=strict, topk=(1, ))
    assert metrics['wsol/top1_loc'] == metrics['wsol/gt_known_loc'] == percent


def test_several_thresholds_are_named():
    # IoU 231 / 441 = 0.52
    metrics = evaluate([result(0, [0], [[10, 10, 30, 20]], HIT)], iou_thr=[.3, .5, .7], topk=(1, ))
    assert metrics == {
        'wsol/top1_cls': 100,
        'wsol/top1_loc@0.3': 100, 'wsol/top1_loc@0.5': 100, 'wsol/top1_loc@0.7': 0,
        'wsol/gt_known_loc@0.3': 100, 'wsol/gt_known_loc@0.5': 100, 'wsol/gt_known_loc@0.7': 100,
    }


@pytest.mark.parametrize('name', ['label_box', 'gt_label'])
def test_missing_field_is_named(name):
    """Also where boxes have no classes."""
    sample = dict(result(0, [], [], HIT), pred_box=torch.tensor(HIT))
    del sample['top_labels'], sample[name]
    with pytest.raises(ValueError, match=rf"a\.jpg: the data sample has no '{name}'"):
        evaluate([sample])


@pytest.mark.parametrize('options, says', [
    (dict(iou_thr=0), 'iou_thr'), (dict(iou_thr=(.5, float('nan'))), 'iou_thr'),
    (dict(iou_thr=()), 'iou_thr'), (dict(topk=(0, )), 'topk')])
def test_options_out_of_range(options, says):
    with pytest.raises(ValueError, match=says):
        WSOLMetric(**options)


def test_topk_beyond_the_boxes_of_a_head():
    sample = dict(img_path='a.jpg', pred_boxes=np.zeros((5, 4)), pred_score=np.zeros(200))
    with pytest.raises(ValueError, match='a.jpg: topk=10 needs that many boxes, but .* gives 5'):
        WSOLMetric(topk=(1, 10)).process(None, [sample])
