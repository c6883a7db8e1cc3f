"""What tools/pool_stats.py prints, of files as people have them."""
import csv
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cicam_mm.evaluation.functional.pool_statistics import describe_rows

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = '{root}/configs/cicam_tiny_shapes.py'
test_dataloader = dict(dataset=dict(num_images=12))
"""


def run(*args):
    return subprocess.run([sys.executable, ROOT / 'tools/pool_stats.py', *map(str, args)],
                          capture_output=True, text=True)


def test_of_a_checkpoint_and_a_released_pool(tmp_path):
    pool = torch.randn(6, 24, 24)
    torch.save(dict(state_dict={'head.pool.pool': pool, 'head.fc.weight': torch.zeros(6, 32)}),
               tmp_path / 'epoch_5.pth')
    with open(tmp_path / 'mask.pth', 'wb') as file:
        pickle.dump(pool, file)
    (tmp_path / 'config.py').write_text(CONFIG.format(root=ROOT))
    out = tmp_path / 'out'
    done = run(tmp_path / 'epoch_5.pth', tmp_path / 'mask.pth', '--config',
               tmp_path / 'config.py', '--out', out)
    assert done.returncode == 0, done.stderr

    with open(out / 'pool_stats.csv', newline='') as file:
        first, second = csv.DictReader(file)
    assert first.pop('pool').endswith('epoch_5.pth') and second.pop('pool').endswith('mask.pth')
    assert first == second
    expected = describe_rows(pool.numpy())
    assert {key: float(first[key]) for key in expected} == pytest.approx(expected)
    assert {*first} - {*expected} == {'gt_known_loc_own', 'gt_known_loc_other',
                                      'gt_known_loc_mean', 'foreground_own', 'foreground_other'}
    assert f'row_correlation_deviation  {expected["row_correlation_deviation"]:.2f}' in (
        ' '.join(done.stdout.split()).replace('row_correlation_deviation ',
                                              'row_correlation_deviation  '))
    for number in range(2):
        assert np.ptp(cv2.imread(str(out / f'pool_{number}.png'))) > 0


def test_code_in_a_file_is_refused(tmp_path):
    class Evil:

        def __reduce__(self):
            return print, ('run', )

    for name, save in (('raw.pth', pickle.dump), ('zip.pth', torch.save)):
        with open(tmp_path / name, 'wb') as file:
            save(Evil(), file)
        done = run(tmp_path / name, '--out', tmp_path)
        assert done.returncode == 1 and 'refused' in done.stderr, done.stderr
        assert 'Traceback' not in done.stderr and 'run' not in done.stdout


def test_a_checkpoint_without_a_pool(tmp_path):
    torch.save(dict(state_dict={'head.fc.weight': torch.zeros(6, 32)}), tmp_path / 'cam.pth')
    done = run(tmp_path / 'cam.pth', '--out', tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip().endswith('take the checkpoint of a model that has one, or a pool '
                                        'file of the release.')


def test_a_config_of_other_classes(tmp_path):
    torch.save(dict(state_dict={'head.pool.pool': torch.randn(5, 24, 24)}), tmp_path / 'five.pth')
    done = run(tmp_path / 'five.pth', '--out', tmp_path, '--config',
               ROOT / 'configs/cicam_tiny_shapes.py')
    assert done.returncode == 1 and 'has 5 classes but the test set of' in done.stderr
