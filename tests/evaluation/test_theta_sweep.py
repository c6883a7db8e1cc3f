import numpy as np
import pytest
import torch
from mmpretrain.registry import METRICS
from mmpretrain.structures import DataSample

from cicam_mm.evaluation import WSOLMetric
from cicam_mm.localization import build_localizer
from cicam_mm.models import CAMHead

RULES, THETAS = ['quadratic', 'top1', 'linear'], [0., .1, .35, .8]
OPTIONS = dict(map_rule='top1', box_rule='ci_cam', theta=.2)


@pytest.fixture
def predict():
    """Predicts six images with a localizer, by one random head."""
    head = CAMHead(num_classes=7, in_channels=5)
    head.init_weights()
    features = torch.rand(6, 5, 6, 6)
    truths = torch.tensor([10, 20, 70, 60]) + torch.randint(30, (6, 2, 4))

    def predict(**localizer):
        head.localizer = build_localizer(localizer)
        samples = []
        for i in range(6):
            sample = DataSample(metainfo=dict(img_shape=(60, 60), ori_shape=(90, 110)))
            samples.append(sample.set_gt_label(i))
            sample.set_data(dict(gt_bboxes=truths[i].numpy()))
        return [sample.to_dict() for sample in head.predict((features, ), samples)]

    return predict


@pytest.mark.parametrize('box_rule', ['ci_cam', 'danet'])  # in the input, in the original
def test_swept_boxes_are_the_label_boxes_of_each_setting(predict, box_rule):
    options = OPTIONS | dict(box_rule=box_rule)
    swept = predict(type='SweepingLocalizer', localizer=options, map_rules=RULES, thetas=THETAS)
    for r, rule in enumerate(RULES):
        for t, theta in enumerate(THETAS):
            single = predict(**options | dict(map_rule=rule, theta=theta))
            for one, other in zip(swept, single, strict=True):
                assert torch.equal(one['swept_boxes'][r, t], other['label_box'])


def test_curves_are_the_metrics_of_each_setting(predict):
    """And the sweep leaves all else as it is."""
    swept = predict(type='SweepingLocalizer', localizer=OPTIONS, map_rules=RULES, thetas=THETAS)
    for one, other in zip(swept, predict(**OPTIONS), strict=True):
        for name in ('score_map', 'label_map', 'pred_boxes', 'label_box', 'top_labels'):
            assert torch.equal(one[name], other[name])
    sweep = METRICS.build(dict(type='ThetaSweep', map_rules=RULES, thetas=THETAS))
    sweep.process(None, swept)
    best = sweep.evaluate(6)
    assert max(np.ravel(sweep.curves['gt_known_loc'])) == best['theta_sweep/gt_known_loc'] > 0
    for r, rule in enumerate(RULES):
        for t, theta in enumerate(THETAS):
            metric = WSOLMetric()
            metric.process(None, predict(**OPTIONS | dict(map_rule=rule, theta=theta)))
            for name, value in metric.evaluate(6).items():
                if name.endswith('loc'):
                    assert sweep.curves[name.removeprefix('wsol/')][r][t] == value
