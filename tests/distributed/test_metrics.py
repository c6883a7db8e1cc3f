"""Ranks judge and save a data set, some images of it twice, and get what one rank gets."""
import os
from types import SimpleNamespace

import numpy as np
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmpretrain.registry import METRICS
from mmpretrain.structures import DataSample

from cicam_mm.evaluation import SavePredictionsHook, read_predictions
from cicam_mm.evaluation.pooled_metric import curves_of

NUM_IMAGES = 7
CONFIGS = [
    dict(type='WSOLMetric'),
    dict(type='MaxBoxAcc', interval=0.01),
    dict(type='PxAP', interval=0.01),
    dict(type='MaskIoU'),
    dict(type='LocalizationErrors'),
    dict(type='ThetaSweep', map_rules=['top1'], thetas=[0, .5]),
]


def predicted(index):
    """A random prediction; the first one differs most, to show if it counted twice."""
    rng = np.random.default_rng(index)
    mask = np.zeros((64, 64), np.uint8)
    mask[10:30, 20:40 + 3 * index] = 1
    if index == 3:  # all of its pixels are ignored
        mask[:] = 255
    label_map = torch.from_numpy(rng.random((8, 8)) + (0 if index == 0 else mask[4::8, 4::8]))
    boxes = torch.tensor([[20, 10, 24 + 8 * index, 30], [20, 10, 60, 30]])
    sample = DataSample(metainfo=dict(
        img_shape=(64, 64), ori_shape=(64, 64), img_path=str(index), sample_idx=index,
        box_rule='ts_cam', theta=.5))
    sample.set_gt_label(0).set_pred_label(int(index % 3 == 2))
    sample.set_data(dict(
        label_map=label_map, score_map=label_map, gt_mask=mask,
        gt_bboxes=np.array([[20, 10, 40 + 3 * index, 30]], np.float32), pred_box=boxes[0],
        pred_boxes=boxes, top_labels=torch.tensor([index % 3, 2 - index % 3]), label_box=boxes[1],
        swept_boxes=boxes[None]))
    return sample


def judge_and_save(folder):
    """Metrics and, on the main rank, curves."""
    os.chdir(folder)  # where ranks exchange their results
    if 'RANK' in os.environ:
        dist.init_process_group('gloo')
    evaluator = Evaluator([METRICS.build(config) for config in CONFIGS])
    cfg = Config(dict(test_dataloader=dict(dataset=dict(type='Toy')), model=dict()))
    runner = SimpleNamespace(
        test_dataloader=SimpleNamespace(dataset=range(NUM_IMAGES)), cfg=cfg)
    hook = SavePredictionsHook('predictions')
    hook.before_test(runner)
    for batch, index in enumerate(DefaultSampler(range(NUM_IMAGES), shuffle=False)):
        samples = [predicted(index)]
        evaluator.process(samples)
        hook.after_test_iter(runner, batch, outputs=samples)
    metrics = evaluator.evaluate(NUM_IMAGES)
    hook.after_test_epoch(runner, metrics)
    return metrics, curves_of(evaluator)


def test_three_ranks_are_one(run_ranks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = tmp_path / 'one', tmp_path / 'several'
    for folder in folders:
        folder.mkdir()
    expected = metrics, _ = judge_and_save(folders[0])
    assert run_ranks(judge_and_save, 3, folders[1]) == [expected, (metrics, {}), (metrics, {})]
    assert 0 < metrics['max_box_acc'] < 100 and 0 < metrics['pxap'] < 100
    assert 0 < metrics['wsol/top1_loc'] < metrics['wsol/top5_loc'] < 100
    assert 0 < metrics['localization_errors/part'] < 100

    assert (folders[1] / 'predictions' / 'part_1.gz').is_file()
    one, several = (list(read_predictions(folder / 'predictions')) for folder in folders)
    assert [sample.sample_idx for sample in several] == list(range(NUM_IMAGES))
    for sample, other in zip(one, several, strict=True):
        assert sample.img_path == other.img_path
        assert torch.equal(sample.label_map, other.label_map)
        assert (sample.gt_mask == other.gt_mask).all()
