"""Training for real, in processes of its own: the demo set, cut down."""
import json
import math
import signal
import time
from pathlib import Path

import pytest
import torch

from cicam_mm.utils.console import format_number

ROOT = Path(__file__).parents[1]
SMALL = [
    '--cfg-options', 'train_dataloader.batch_size=4', 'train_dataloader.dataset.num_images=40',
    'val_dataloader.dataset.num_images=30', 'test_dataloader.dataset.num_images=30',
    'default_hooks.logger.interval=10',
]


def load(path):
    return torch.load(path, weights_only=True)['state_dict']


@pytest.mark.parametrize('method', ['nlccam', 'cicam'])
def test_train_then_test(run_tool, tmp_path, method):
    config = next((ROOT / 'configs').rglob(f'{method}_tiny_shapes.py'))
    output = run_tool.process(
        'train.py', config, '--work-dir', tmp_path, *SMALL, 'train_cfg.max_epochs=2',
        'train_cfg.val_interval=2', 'val_dataloader.dataset.seed=0',  # the images of the test
        'default_hooks.logger.interval=1',
        *(['custom_hooks.0.interval=10'] if method == 'cicam' else []))
    losses = [float(line.split(' loss: ')[1].split()[0])
              for line in output.splitlines() if ' loss: ' in line]
    # each branch starts at the cross entropy of a guess among six classes
    assert losses[0] == pytest.approx((2 if method == 'cicam' else 1) * math.log(6), rel=.15)
    assert 'eta: ' in output and 'wsol/gt_known_loc' in output
    if method == 'cicam':
        assert all(name in output for name in ('loss_initial: ', 'loss_enhanced: ', 'pool_seen: '))

    checkpoint = tmp_path / 'epoch_2.pth'
    run_tool.process(
        'test.py', config, checkpoint, '--work-dir', tmp_path / 'test', '--out',
        tmp_path / 'metrics.json', '--show-dir', tmp_path / 'shown', *SMALL)
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics.pop('protocol')['images']['type'] == 'ConfoundedShapes'
    assert sum(found['images'] for found in metrics.pop('per_class').values()) == 30
    assert set(metrics) == {f'wsol/{name}' for name in (
        'top1_cls', 'top5_cls', 'top1_loc', 'top5_loc', 'gt_known_loc')}
    # the table at the end of the training tells what test.py finds in the checkpoint
    table = dict(line.split() for line in output.splitlines()[-8:] if line.startswith('wsol/'))
    assert table == {name: format_number(value) for name, value in metrics.items()}
    assert len(list((tmp_path / 'shown').glob('**/*.png'))) == 30


def test_killed_and_resumed_is_undisturbed(run_tool, tmp_path):
    """SIGKILL half-way through 60 iterations; weights and pool end bit for bit the same."""
    config = ROOT / 'configs' / 'cicam_tiny_shapes.py'
    options = [*SMALL, 'train_cfg.max_epochs=6', 'train_cfg.val_interval=6']
    run_tool.process('train.py', config, '--work-dir', tmp_path / 'undisturbed', *options)

    killed = run_tool.start('train.py', config, '--work-dir', tmp_path / 'killed', *options)
    while not (tmp_path / 'killed' / 'epoch_3.pth').exists():
        assert killed.poll() is None, killed.communicate()[0]
        time.sleep(.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / 'killed' / 'epoch_6.pth').exists()
    run_tool.process('train.py', config, '--work-dir', tmp_path / 'killed', '--resume', *options)

    expected = load(tmp_path / 'undisturbed' / 'epoch_6.pth')
    resumed = load(tmp_path / 'killed' / 'epoch_6.pth')
    assert expected['head.pool.pool'].any()
    assert [name for name in expected if not resumed[name].equal(expected[name])] == []
