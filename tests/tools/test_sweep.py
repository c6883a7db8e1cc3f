"""sweep.py, inside this process."""
import csv
from pathlib import Path

import pytest

OPTION = 'optim_wrapper.optimizer.lr'


@pytest.fixture
def sweep(run_tool, monkeypatch, tmp_path, toy_config):
    def sweep(*args, work_dir='sweep'):
        run_tool('sweep.py', toy_config, OPTION, *args, '--work-dir', work_dir)

    monkeypatch.chdir(tmp_path)
    return sweep


def test_sweep_goes_on_where_it_stopped(sweep, tmp_path, capsys):
    sweep('0.01', '0.02', '--seeds', '0', '1')
    folders = [Path(f'sweep/{OPTION}={value}/seed_{seed}')
               for value in ('0.01', '0.02') for seed in (0, 1)]
    finished = {folder: (folder / 'metrics.json').stat().st_mtime_ns for folder in folders}
    with open('sweep/sweep.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row[OPTION], row['seed']) for row in rows] == [
        ('0.01', '0'), ('0.01', '1'), ('0.02', '0'), ('0.02', '1')]
    header, _, *body = Path('sweep/sweep.md').read_text().splitlines()
    assert header == f'| {OPTION} | runs | accuracy/top1 |'
    one, other = (float(row['accuracy/top1']) for row in rows[2:])
    assert body[1].startswith(f'| 0.02 | 2 | {(one + other) / 2:.2f} ± ')

    (folders[3] / 'metrics.json').unlink()  # as if stopped between training and test
    capsys.readouterr()
    sweep('0.01', '0.02', '--seeds', '0', '1', work_dir=str(tmp_path / 'sweep'))
    printed = capsys.readouterr().out
    assert 'resumed epoch: 1' in printed and 'Epoch(train)' not in printed
    for folder in folders[:3]:
        assert (folder / 'metrics.json').stat().st_mtime_ns == finished[folder]
    assert f'{OPTION}  runs' in printed

    with pytest.raises(SystemExit, match='seed_0 holds a run with other settings'):
        sweep('0.01', '--cfg-options', 'train_cfg.max_epochs=2')
