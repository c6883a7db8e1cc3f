"""What tools/pool_stats.py prints, of files as people have them."""
import csv
import os
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cicam_mm.evaluation.pool_statistics import describe_rows

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = '{root}/configs/cicam_tiny_shapes.py'
test_dataloader = dict(dataset=dict(num_images=12))
"""


def test_of_a_checkpoint_and_a_released_pool(run_tool, capsys, tmp_path):
    pool = torch.randn(6, 24, 24)
    torch.save(dict(state_dict={'head.pool.pool': pool, 'head.fc.weight': torch.zeros(6, 32)}),
               tmp_path / 'epoch_5.pth')
    with open(tmp_path / 'mask.pth', 'wb') as file:
        pickle.dump(pool, file)
    (tmp_path / 'config.py').write_text(CONFIG.format(root=ROOT))
    out = tmp_path / 'out'
    run_tool('pool_stats.py', tmp_path / 'epoch_5.pth', tmp_path / 'mask.pth', '--config',
             tmp_path / 'config.py', '--out', out)

    with open(out / 'pool_stats.csv', newline='') as file:
        first, second = csv.DictReader(file)
    assert first.pop('pool').endswith('epoch_5.pth') and second.pop('pool').endswith('mask.pth')
    assert first == second
    expected = describe_rows(pool.numpy())
    assert {key: float(first[key]) for key in expected} == pytest.approx(expected)
    assert {*first} - {*expected} == {'gt_known_loc_own', 'gt_known_loc_other',
                                      'gt_known_loc_mean', 'foreground_own', 'foreground_other'}
    assert f'row_correlation_deviation  {expected["row_correlation_deviation"]:.2f}' in (
        ' '.join(capsys.readouterr().out.split()).replace('row_correlation_deviation ',
                                              'row_correlation_deviation  '))
    for number in range(2):
        assert np.ptp(cv2.imread(str(out / f'pool_{number}.png'))) > 0


def test_code_in_a_file_is_refused(run_tool, capsys, tmp_path):
    class Evil:

        def __reduce__(self):
            return print, ('run', )

    for name, save in (('raw.pth', pickle.dump), ('zip.pth', torch.save)):
        with open(tmp_path / name, 'wb') as file:
            save(Evil(), file)
        assert 'refused' in run_tool.error('pool_stats.py', tmp_path / name, '--out', tmp_path)
        assert 'run' not in capsys.readouterr().out


def test_a_checkpoint_without_a_pool(run_tool, tmp_path):
    torch.save(dict(state_dict={'head.fc.weight': torch.zeros(6, 32)}), tmp_path / 'cam.pth')
    assert run_tool.error('pool_stats.py', tmp_path / 'cam.pth', '--out', tmp_path).endswith(
        'use the checkpoint of a model that has one, or a pool file of the release.')


def test_what_is_no_checkpoint(run_tool, tmp_path):
    torch.save([1, 2], tmp_path / 'list.pth')
    os.mkfifo(tmp_path / 'pipe.pth')
    (tmp_path / 'cut.pth').write_bytes((tmp_path / 'list.pth').read_bytes()[:-100])
    for name, sentence in (('list', 'holds no weights'), ('pipe', 'is not a regular file'),
                           ('cut', 'cannot be read: it is truncated')):
        assert f'{name}.pth {sentence}' in run_tool.error(
            'pool_stats.py', tmp_path / f'{name}.pth', '--out', tmp_path)


def test_a_config_of_other_classes(run_tool, tmp_path):
    torch.save(dict(state_dict={'head.pool.pool': torch.randn(5, 24, 24)}), tmp_path / 'five.pth')
    assert 'has 5 classes but the test set of' in run_tool.error(
        'pool_stats.py', tmp_path / 'five.pth', '--out', tmp_path, '--config',
        ROOT / 'configs/cicam_tiny_shapes.py')


def test_a_folder_that_cannot_be_written(run_tool, capsys, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit):
        run_tool('pool_stats.py', 'a.pth', '--out', tmp_path / 'file' / 'out')
    assert 'argument --out: ' in (told := capsys.readouterr().err) and 'cannot be written' in told
