"""Images without boxes, by all metrics of the localization."""
import numpy as np
import pytest
import torch
from mmpretrain.registry import METRICS

BOX, MISS = [0, 0, 3, 3], [6, 6, 7, 7]


def sample(name, label, boxes, mask=1):
    """A map and boxes that fit ``BOX``, of an image of class 0, 1 or 2, all taken for class 0."""
    label_map = torch.zeros(8, 8)
    label_map[:4, :4] = 1
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return dict(
        img_path=name, gt_label=torch.tensor([label]), pred_label=torch.tensor([0]),
        top_labels=torch.tensor([0, 1]), pred_boxes=torch.tensor([BOX, BOX]),
        pred_box=torch.tensor(BOX), label_box=torch.tensor(BOX),
        swept_boxes=torch.tensor([[BOX, MISS]]), label_map=label_map, score_map=label_map,
        gt_bboxes=boxes, gt_mask=np.full((8, 8), 255 if mask is None else mask, np.uint8),
        img_shape=(8, 8), ori_shape=(8, 8), box_rule='ts_cam', theta=0.5)


def evaluate(samples, **options):
    metric = METRICS.build(options)
    metric.process(None, samples)
    return metric.evaluate(len(samples))


SWEEP = dict(type='ThetaSweep', map_rules=['top1'], thetas=[0, 0.5])
SAMPLES = [sample('a.jpg', 0, [BOX]), sample('b.jpg', 1, [MISS]), sample('c.jpg', 0, [MISS]),
           sample('n.jpg', 2, [], None), sample('m.jpg', 2, [], None)]


@pytest.mark.parametrize('config, expected', [
    # two of five have class 0, which is predicted; one of three boxes is right
    (dict(type='WSOLMetric', topk=(1, )), {
        'wsol/top1_cls': 40, 'wsol/top1_loc': 100 / 3, 'wsol/gt_known_loc': 100 / 3}),
    (dict(type='MaxBoxAcc', interval=0.5), {'max_box_acc': 100 / 3, 'max_box_acc_v2': 200 / 9}),
    (SWEEP, {'theta_sweep/gt_known_loc': 200 / 3, 'theta_sweep/theta': 0.5}),
    (dict(type='LocalizationErrors'), {
        'localization_errors/correct': 100 / 3, 'localization_errors/classification_error':
        100 / 3, 'localization_errors/others': 100 / 3, 'localization_errors/context_mass': 0}),
    (dict(type='MaskIoU'), {'mask_iou': 25}),  # 16 of 64 pixels
    (dict(type='PxAP', interval=0.5), {'pxap': 100})])
def test_a_class_without_boxes_counts_for_the_classification_only(config, expected):
    metrics = evaluate(SAMPLES, **config)
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value)


@pytest.mark.parametrize('config', [
    dict(type='WSOLMetric'), dict(type='MaxBoxAcc'), SWEEP, dict(type='LocalizationErrors')],
    ids=lambda config: config['type'])
def test_other_images_without_boxes_are_named(config):
    bare = sample('x.jpg', 1, [], None)
    for samples in [*SAMPLES, bare], [bare, bare]:
        with pytest.raises(ValueError, match=r'^x\.jpg: There is no ground-truth box'):
            evaluate(samples, **config)
    with pytest.raises(ValueError, match=r'a\.jpg: There is no ground-truth box.*LoadAnnotation'):
        evaluate([dict(SAMPLES[0], gt_bboxes=None)], **config)
