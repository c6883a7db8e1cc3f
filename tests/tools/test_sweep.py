"""sweep.py, whose runs are processes."""
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
BROKEN = """
_base_ = 'toy.py'
model = dict(head=dict(in_channels=31))
"""


@pytest.fixture
def sweep(run_tool, tmp_path, toy_config):
    """Runs it in the test's folder; exit code and output."""
    toy_config.with_name('broken.py').write_text(BROKEN)
    model = MODELS.build(Config.fromfile(toy_config).model)
    torch.save(model.state_dict(), tmp_path / 'start.pth')
    with open(toy_config, 'a') as file:
        file.write(f"load_from = '{tmp_path / 'start.pth'}'\n")

    def sweep(*args):
        process = run_tool.start('sweep.py', *args, '--work-dir', 'out', cwd=tmp_path)
        output = process.communicate()[0]
        return process.returncode, output

    return sweep


def read_csv(folder):
    with open(folder / 'out' / 'sweep.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_methods_and_seeds(sweep, tmp_path):
    """Two at a time; one fails and the others go on; started again it does what is left."""
    args = ('Toy=toy.py', 'broken.py', '--grid', DROP, 'false', '--seeds', '0', '1', '--jobs', '2')
    code, output = sweep(*args)
    assert code == 1
    assert 'error: 2 of 4 runs failed:' in output
    failure, = [line for line in output.splitlines()
                if line.startswith('broken, drop_last=false, seed 1:')
                and 'mat1 and mat2 shapes' in line]
    assert failure.endswith(f'(out/broken/{DROP}=false/seed_1/console.log)')

    rows = read_csv(tmp_path)
    assert [(row['method'], row[DROP], row['seed']) for row in rows] == [
        ('Toy', 'false', '0'), ('Toy', 'false', '1')]
    for row in rows:
        metrics = json.loads((tmp_path / row['folder'] / 'metrics.json').read_text())
        assert float(row['accuracy/top1']) == metrics['accuracy/top1']
        settings = json.loads((tmp_path / row['folder'] / 'settings.json').read_text())
        assert settings['train_dataloader']['drop_last'] is False
        assert 'Load checkpoint from' in (tmp_path / row['folder'] / 'console.log').read_text()
    assert matplotlib.image.imread(tmp_path / 'out' / 'sweep.png').ndim == 3

    kept, stopped = (tmp_path / row['folder'] / 'metrics.json' for row in rows)
    before = kept.stat()
    stopped.unlink()  # between training and test
    (tmp_path / 'broken.py').write_text("_base_ = 'toy.py'")
    code, output = sweep(*args)
    assert code == 0 and '1 of 4 runs are done already.' in output
    assert kept.stat() == before
    log = (stopped.parent / 'console.log').read_text()
    assert 'resumed epoch: 1' in log and 'Epoch(train)' not in log
    # the two methods are one, so each pair of runs agrees
    text = (tmp_path / 'out' / 'sweep.md').read_text()
    assert '| minus Toy, drop_last=false | pairs | accuracy/top1 |' in text
    assert '| broken, drop_last=false | 2 | +0.00 [+0.00, +0.00] |' in text

    assert 'tested in different ways' not in output + text
    protocols = [json.loads(path.read_text()) for path in (kept, stopped)]
    assert [content['protocol']['num_images'] for content in protocols] == [7, 7]
    protocols[0]['protocol']['views'] = [[dict(type='Resize', scale=32)]]
    kept.write_text(json.dumps(protocols[0]))
    output = sweep(*args)[1]
    sentence = ('These runs were tested in different ways (views); compare only numbers of one '
                'protocol.')
    assert sentence in output and sentence in (tmp_path / 'out' / 'sweep.md').read_text()

    code, output = sweep(*args, '--cfg-options', 'train_cfg.max_epochs=2')
    assert code == 1 and 'seed_0 holds a run with other settings' in output


def test_theta_that_cannot_be_searched_is_refused_before_the_training(sweep, tmp_path):
    (tmp_path / 'located.py').write_text(
        "_base_ = 'toy.py'\nmodel = dict(head=dict(type='CAMHead', localizer=dict(theta=.2)))")
    for name, sentence in {
            'toy': 'toy: the head of this config has no localizer',
            'located': 'located: 7 of the 7 validation images are test images, which must not be '
                       'used to choose settings; give val_dataloader other images, or omit '
                       '--search-theta.'}.items():
        code, output = sweep(f'{name}.py', '--search-theta')
        assert code == 1 and sentence in output
        assert not list(tmp_path.glob('out/**/*.pth')) and '--split' not in output


@pytest.mark.parametrize('args, sentence', [
    (['toy.py', 'toy.py'], 'two configs have the same name; put NAME= in front of one'),
    (['toy.py', '--baseline', 'x'], "there is no cell 'x' to compare with; choose from toy"),
    (['toy.py', '--seeds', '1', '1'], 'two runs of the sweep are the same'),
    (['toy.py', '--metrics', 'accuracy/top'],
     'there is no metric accuracy/top; choose from accuracy/top1'),
    (['toy.py', '--grid', DROP], f'--grid {DROP} needs values'),
    (['toy.py', '--jobs', '2', '--launcher', 'pytorch'], '--jobs is for runs on one device each'),
    (['toy.py', '--search', 'lr', '1', '0'], '--search lr needs LOW below HIGH'),
    (['toy.py', '--search', 'optim_wrapper.optimizer.lr', '.01', '.1'],
     'toy, lr='),
    (['toy.py', '--executor', 'slurm', '--slurm', 'x'], '--slurm takes KEY=VALUE, not x'),
    (['toy.py', '--slurm', 'mem_gb=2'], '--slurm holds options for --executor slurm'),
    (['toy.py', '--cfg-options', 'work_dir=x'], 'set that of the sweep with --work-dir'),
    (['toy.py', '--grid', 'randomness.seed', '1', '2'], 'and seeds with --seeds'),
    (['toy.py', '--grid', 'train_dataloader.sampler.shuffle', 'true', 'no'],
     "toy, shuffle=no: the setting train_dataloader.sampler.shuffle is 'no', but"),
])
def test_mistakes(run_tool, toy_config, monkeypatch, args, sentence):
    monkeypatch.chdir(toy_config.parent)
    assert sentence in run_tool.error('sweep.py', *args)


def test_settings_are_searched_on_held_out_images(run_tool, tmp_path):
    """Of three trials at once with two possible values, two are the same run."""
    small = {f'{split}_dataloader.{key}': value for split in ('train', 'val', 'test')
             for key, value in {'dataset.num_images': 12, 'num_workers': 0}.items()}
    output = run_tool.process(
        'sweep.py', f'CAM={CAM}', '--search', 'train_cfg.max_epochs', '1', '2',
        '--trials', '3', '--jobs', '3', '--work-dir', tmp_path / 'out',
        '--cfg-options', 'param_scheduler.0.T_max=1', *(f'{k}={v}' for k, v in small.items()))
    rows = read_csv(tmp_path)
    epochs = [row['train_cfg.max_epochs'] for row in rows]
    assert len({*epochs}) == len(epochs) and {*epochs} <= {'1', '2'}
    best = max(rows, key=lambda row: float(row['val/gt_known_loc']))
    assert 'Best of 3 trials of CAM: train_cfg.max_epochs=' in output
    assert f'(val/gt_known_loc {float(best["val/gt_known_loc"]):.2f})' in output
