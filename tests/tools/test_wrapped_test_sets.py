"""Every tool on a test set that wraps others."""
import csv
import json
from pathlib import Path

import cv2
import pytest
from mmengine.config import Config

from cicam_mm.evaluation.saved_predictions import read_predictions
from cicam_mm.export.onnx import describe_preparation

ROOT = Path(__file__).parents[2]


def shapes(dataset, count, seed):
    return dict(dataset, num_images=count, seed=seed)


@pytest.fixture(params=['concat', 'repeat'])
def trained(request, save_untrained, tmp_path):
    """A work directory with a config, a checkpoint, and the file names of the test pictures."""
    cfg = Config.fromfile(ROOT / 'configs/cicam_tiny_shapes.py')
    dataset = cfg.test_dataloader.dataset
    for split in 'val', 'test':
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        seeds = (70, 71) if split == 'val' else (80, 81)
        loader.dataset = dict(type='ConcatDataset', datasets=[
            shapes(dataset, 6, seeds[0]), shapes(dataset, 4, seeds[1])])
        if request.param == 'repeat':
            loader.dataset = dict(type='RepeatDataset', times=2,
                                  dataset=shapes(dataset, 6, seeds[0]))
    cfg.train_dataloader.dataset.num_images = 12
    cfg.dump(tmp_path / 'config.py')
    save_untrained(cfg, tmp_path / 'epoch_1.pth')
    return cfg, tmp_path, 10 if request.param == 'concat' else 6


def test_pictures_predictions_and_tools(trained, run_tool, capsys):
    cfg, work_dir, count = trained
    config, checkpoint = work_dir / 'config.py', work_dir / 'epoch_1.pth'
    run_tool('test.py', config, checkpoint, '--work-dir', work_dir, '--dump',
             work_dir / 'predictions', '--show-dir', work_dir / 'shown', '--out',
             work_dir / 'metrics.json')
    numbers = [sample.sample_idx for sample in read_predictions(work_dir / 'predictions')]
    assert numbers == [*range(10)] if count == 10 else numbers == 2 * [*range(6)]
    shown = [path.name for path in sorted((work_dir / 'shown').glob('*.png'))]
    assert shown == [f'{i:05d}.png' for i in range(count)]
    run_tool('compare.py', f'A={config}:{checkpoint}', '--chosen', '0,7', '--worst', 2, '--out',
             work_dir / 'compared')
    assert cv2.imread(str(work_dir / 'compared/chosen.png')) is not None
    run_tool('search_threshold.py', config, checkpoint, '--work-dir', work_dir / 'search',
             '--map-rules', 'top1', '--step', '.5')
    run_tool('report.py', work_dir, '--trust-configs', '--out', work_dir / 'report.html',
             '--images', 2)
    assert (work_dir / 'report.html').read_text().count('localizations of') >= 4
    run_tool('infer.py', config, checkpoint, work_dir / 'shown', '--out', work_dir / 'inferred')
    with open(work_dir / 'inferred/predictions.csv') as file:
        assert len([*csv.DictReader(file)]) == count
    assert describe_preparation(cfg) == dict(size=[96, 96], interpolation='linear')
    protocol = json.loads((work_dir / 'metrics.json').read_text())['protocol']
    assert protocol['num_images'] == len(numbers)
