"""sweep.py inside this process; its runs are processes."""
import csv
import json
from pathlib import Path

import matplotlib.image
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

CAM = Path(__file__).parents[2] / 'configs/cam/cam_tiny_shapes.py'
DROP = 'train_dataloader.drop_last'


@pytest.fixture
def sweep(run_tool, forkserver, toy_config, monkeypatch, capsys):
    """Runs it in the folder of toy.py; the sentence that it leaves with, and its output."""
    monkeypatch.chdir(toy_config.parent)
    Path('broken.py').write_text("_base_ = 'toy.py'\nmodel = dict(head=dict(in_channels=31))\n")
    Path('located.py').write_text(
        "_base_ = 'toy.py'\nmodel = dict(head=dict(type='CAMHead', localizer=dict(theta=.2)))")
    torch.save(MODELS.build(Config.fromfile(toy_config).model).state_dict(), 'start.pth')
    with open(toy_config, 'a') as file:
        file.write("load_from = 'start.pth'\n")

    def sweep(*args):
        try:
            run_tool('sweep.py', *args, '--work-dir', 'out')
            sentence = None
        except SystemExit as leaves:
            sentence = leaves.code
        return sentence, capsys.readouterr().out

    return sweep


def read_csv():
    with open('out/sweep.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_methods_and_seeds(sweep):
    """Two at a time; one fails and the others go on; started again it does what is left."""
    args = ('Toy=toy.py', 'broken.py', '--grid', DROP, 'false', '--seeds', '0', '1', '--jobs', '2')
    first, *failures = sweep(*args)[0].splitlines()
    assert first == 'error: 2 of 4 runs failed:'
    assert len(failures) == 2 and all('mat1 and mat2 shapes' in line for line in failures)
    failure, = [line for line in failures if line.startswith('broken, drop_last=false, seed 1:')]
    assert failure.endswith(f'(out/broken/{DROP}=false/seed_1/console.log)')

    rows = read_csv()
    assert [(row['method'], row[DROP], row['seed']) for row in rows] == [
        ('Toy', 'false', '0'), ('Toy', 'false', '1')]
    for row in rows:
        metrics = json.loads(Path(row['folder'], 'metrics.json').read_text())
        assert float(row['accuracy/top1']) == metrics['accuracy/top1']
        settings = json.loads(Path(row['folder'], 'settings.json').read_text())
        assert settings['train_dataloader']['drop_last'] is False
        assert 'Load checkpoint from' in Path(row['folder'], 'console.log').read_text()
    assert matplotlib.image.imread('out/sweep.png').ndim == 3

    kept, stopped = (Path(row['folder'], 'metrics.json') for row in rows)
    before = kept.stat()
    stopped.unlink()  # between training and test
    Path('broken.py').write_text("_base_ = 'toy.py'")
    sentence, output = sweep(*args)
    assert sentence is None and '1 of 4 runs are done already.' in output
    assert kept.stat() == before
    log = (stopped.parent / 'console.log').read_text()
    assert 'resumed epoch: 1' in log and 'Epoch(train)' not in log
    # the two methods are one, so each pair of runs agrees
    text = Path('out/sweep.md').read_text()
    assert '| minus Toy, drop_last=false | pairs | accuracy/top1 |' in text
    assert '| broken, drop_last=false | 2 | +0.00 [+0.00, +0.00] |' in text

    assert 'tested in different ways' not in output + text
    content = json.loads(kept.read_text())
    assert content['protocol']['num_images'] == 7
    content['protocol']['views'] = [[dict(type='Resize', scale=32)]]
    kept.write_text(json.dumps(content))
    sentence = ('These runs were tested in different ways (views); compare only numbers of one '
                'protocol.')
    assert sentence in sweep(*args)[1] and sentence in Path('out/sweep.md').read_text()

    assert 'seed_0 holds a run with other settings' in sweep(
        *args, '--cfg-options', 'train_cfg.max_epochs=2')[0]


@pytest.mark.parametrize('args, sentence', [
    (['toy.py', 'toy.py'], 'two configs have the same name; put NAME= in front of one'),
    (['toy.py', '--baseline', 'x'], "there is no cell 'x' to compare with; choose from toy"),
    (['toy.py', '--seeds', '1', '1'], 'two runs of the sweep are the same'),
    (['toy.py', '--metrics', 'accuracy/top'],
     'there is no metric accuracy/top; choose from accuracy/top1'),
    (['toy.py', '--grid', DROP], f'--grid {DROP} needs values'),
    (['toy.py', '--jobs', '2', '--launcher', 'pytorch'], 'are for runs on one device each'),
    (['toy.py', '--search', 'lr', '1', '0'], '--search lr needs LOW below HIGH'),
    (['toy.py', '--search', 'optim_wrapper.optimizer.lr', '.01', '.1'], 'toy, lr='),
    (['toy.py', '--slurm', 'mem_gb=2'], '--slurm holds options for --executor slurm'),
    (['toy.py', '--cfg-options', 'work_dir=x'], 'set that of the sweep with --work-dir'),
    (['toy.py', '--grid', 'randomness.seed', '1', '2'], 'and seeds with --seeds'),
    (['toy.py', '--grid', 'train_dataloader.sampler.shuffle', 'true', 'no'],
     "toy, shuffle=no: the setting train_dataloader.sampler.shuffle is 'no', but"),
    (['toy.py', '--search-theta'], 'toy: the head of this config has no localizer'),
    (['located.py', '--search-theta'], 'located: 7 of the 7 validation images are test images, '
     'which must not be used to choose settings; give val_dataloader other images, or omit '
     '--search-theta.'),
])
def test_mistakes_end_it_before_the_first_training(sweep, args, sentence):
    assert sentence in sweep(*args)[0]
    assert not [*Path('out').glob('**/*.pth')]


def test_settings_are_searched_on_held_out_images(sweep):
    """Of three trials at once with two possible values, two are the same run."""
    small = [f'{split}_dataloader.{setting}' for split in ('train', 'val', 'test')
             for setting in ('dataset.num_images=12', 'num_workers=0')]
    sentence, output = sweep(
        f'CAM={CAM}', '--search', 'train_cfg.max_epochs', '1', '2', '--trials', '3', '--jobs',
        '3', '--cfg-options', 'param_scheduler.0.T_max=1', *small)
    assert sentence is None
    rows = read_csv()
    epochs = [row['train_cfg.max_epochs'] for row in rows]
    assert len({*epochs}) == len(epochs) and {*epochs} <= {'1', '2'}
    best = max(rows, key=lambda row: float(row['val/gt_known_loc']))
    assert 'Best of 3 trials of CAM: train_cfg.max_epochs=' in output
    assert f'(val/gt_known_loc {float(best["val/gt_known_loc"]):.2f})' in output
