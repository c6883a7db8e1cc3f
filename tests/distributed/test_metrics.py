"""Two processes judge a data set, one image of it twice, and get what one process gets.

Run as a script this file is one of the processes.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmpretrain.registry import METRICS

import cicam_mm  # noqa: F401

ROOT = Path(__file__).parents[2]
NUM_IMAGES = 7
CONFIGS = [dict(type='MaxBoxAcc', interval=0.01), dict(type='PxAP', interval=0.01),
           dict(type='LocalizationErrors')]


def predicted(index):
    """A random prediction; the first one differs most, to show if it counted twice."""
    rng = np.random.default_rng(index)
    mask = np.zeros((64, 64), np.uint8)
    mask[10:30, 20:40 + 3 * index] = 1
    label_map = rng.random((8, 8)) + (0 if index == 0 else mask[4::8, 4::8])
    return dict(
        label_map=torch.from_numpy(label_map), score_map=torch.from_numpy(label_map),
        gt_mask=mask, gt_bboxes=np.array([[20, 10, 40 + 3 * index, 30]], np.float32),
        pred_box=torch.tensor([20, 10, 24 + 8 * index, 30]),
        pred_label=torch.tensor([int(index % 3 == 2)]), gt_label=torch.tensor([0]),
        img_shape=(64, 64), ori_shape=(64, 64), img_path=str(index))


def evaluate():
    evaluator = Evaluator([METRICS.build(config) for config in CONFIGS])
    for index in DefaultSampler(range(NUM_IMAGES), shuffle=False):
        evaluator.process([predicted(index)])
    return evaluator.evaluate(NUM_IMAGES)


def test_two_processes_are_one(tmp_path):
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone',
               '--nproc-per-node=2', __file__, 'metrics.json']
    # gloo now and then aborts on leaving, so look at what was written instead
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        text=True, timeout=300, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (tmp_path / 'metrics.json').is_file(), done.stdout
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics == evaluate()
    assert 0 < metrics['max_box_acc'] < 100 and 0 < metrics['pxap'] < 100


if __name__ == '__main__':
    dist.init_process_group('gloo')
    metrics = evaluate()
    if dist.get_rank() == 0:
        Path(sys.argv[1]).write_text(json.dumps(metrics))
